//! The network with its spectra: from segments to stems.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};
use vocalizer_core::part::Stem;

use super::{Roformer, RoformerConfig};
use crate::dsp::spectra::{Spectra, Window};
use crate::networks::spectral::{Spectral, SpectralNetwork, Stems};
use crate::networks::{Chunking, Level, Network, NetworkConfig, Watcher};
use crate::weights::{WeightsError, WeightsFile};

/// A RoFormer's configuration with its stems.
pub(crate) struct Configured {
    config: RoformerConfig,
    stems: Stems,
}

impl Configured {
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] if an instrument's name cannot be the name of a stem.
    pub(crate) fn new(config: RoformerConfig) -> Result<Self, WeightsError> {
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
        let stems: Vec<_> = (0..self.stems.separated).collect();
        let network = Roformer::load(&self.config, &stems, file, device, dtype)?;
        let spectra = Arc::new(Spectra::new(self.config.nfft, self.config.hop, Window::Hann, false));
        Ok(Box::new(Spectral { network, spectra, separated: self.stems.separated, device: device.clone(), dtype }))
    }
}

impl SpectralNetwork for Roformer {
    fn forward(&self, x: Tensor<4>, wanted: &[usize], watcher: &mut dyn Watcher) -> Tensor<4> {
        self.forward(x, wanted, watcher)
    }
}
