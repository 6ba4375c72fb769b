//! The network with its spectra: from segments to stems.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};
use vocalizer_core::part::Stem;

use super::{Scnet, ScnetConfig};
use crate::dsp::spectra::{Spectra, Window};
use crate::networks::spectral::{Spectral, SpectralNetwork, Stems};
use crate::networks::{Chunking, Level, Network, NetworkConfig, Watcher};
use crate::weights::{WeightsError, WeightsFile};

/// An SCNet's configuration with its stems.
pub(crate) struct Configured {
    config: ScnetConfig,
    stems: Stems,
}

impl Configured {
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] if an instrument's name cannot be the name of a stem.
    pub(crate) fn new(config: ScnetConfig) -> Result<Self, WeightsError> {
        let stems = Stems::read(&config.stems, &config.instruments)?;
        Ok(Self { config, stems })
    }
}

impl NetworkConfig for Configured {
    fn sources(&self) -> &[Stem] {
        &self.stems.sources
    }

    fn segment_frames(&self) -> usize {
        self.config.chunk_frames
    }

    fn chunking(&self) -> Chunking {
        Chunking::Fades(self.config.num_overlap)
    }

    fn level(&self) -> Level {
        if self.config.normalize { Level::Population } else { Level::Unchanged }
    }

    fn load(&self, file: &WeightsFile, device: &Device, dtype: DType) -> Result<Box<dyn Network>, WeightsError> {
        let network = Padded { network: Scnet::load(&self.config, file, device, dtype)?, config: self.config.clone() };
        let ScnetConfig { nfft, hop, normalized, .. } = self.config;
        let spectra = Arc::new(Spectra::new(nfft, hop, Window::Ones, normalized));
        Ok(Box::new(Spectral { network, spectra, separated: self.stems.separated, device: device.clone(), dtype }))
    }
}

/// The network, which takes an even number of frames of the spectrum.
struct Padded {
    network: Scnet,
    config: ScnetConfig,
}

impl SpectralNetwork for Padded {
    fn forward(&self, x: Tensor<4>, wanted: &[usize], watcher: &mut dyn Watcher) -> Tensor<4> {
        let stems = self.network.forward(x, watcher);
        let wanted = wanted.iter().map(|&stem| stems.clone().narrow(1, 4 * stem, 4)).collect();
        Tensor::cat(wanted, 1)
    }

    fn padded(&self, samples: usize) -> usize {
        self.config.padded(samples)
    }
}
