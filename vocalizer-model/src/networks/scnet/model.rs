//! The complete network.

use burn::tensor::{Device, Tensor};

use super::config::ScnetConfig;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::separation::DualPath;
use crate::dsp::spectra::{Spectra, Window};
use crate::networks::loader::Loader;
use crate::networks::spectral::{SpectralConfig, SpectralNetwork};
use crate::networks::toolkit::Common;
use crate::networks::{Format, Watcher};
use crate::weights::Tensors;
use crate::weights::WeightsError;

/// SCNet on spectra with an even number of frames, of a transform without a window.
#[derive(Debug)]
pub(crate) struct Scnet {
    config: ScnetConfig,
    encoder: Vec<Encoder>,
    layers: Vec<DualPath>,
    /// The first mirrors the last block of the encoder.
    decoder: Vec<Decoder>,
}

impl Scnet {
    /// Loads the network.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] or [`WeightsError::WrongShape`] if the source does not match the configuration.
    pub(crate) fn load(
        config: &ScnetConfig,
        source: &dyn Tensors,
        device: &Device,
        format: Format,
    ) -> Result<Self, WeightsError> {
        let root = Loader::new(source, device, format);
        let blocks = || config.blocks().into_iter().enumerate();
        let encoder = blocks().map(|(block, bands)| Encoder::load(&root, config, block, bands));
        let layers = (0..config.layers).map(|index| DualPath::load(&root, config, index));
        let decoder = blocks().rev().map(|(block, bands)| Decoder::load(&root, config, block, bands));
        Ok(Self {
            config: config.clone(),
            encoder: encoder.collect::<Result<_, _>>()?,
            layers: layers.collect::<Result<_, _>>()?,
            decoder: decoder.collect::<Result<_, _>>()?,
        })
    }

    /// Runs the network on a batch of spectra.
    ///
    /// # Shapes
    ///
    /// - `spectrum`: `[batch, 4, bins, frames]`: left real, left imaginary, right real, right imaginary; an even number
    ///   of frames
    /// - output: `[batch, 4 * stems, bins, frames]`, the same four for each stem
    pub(super) fn all_stems(&self, spectrum: Tensor<4>, watcher: &mut dyn Watcher) -> Tensor<4> {
        let frames = spectrum.dims()[3];
        let mut x = spectrum;
        let mut skips = Vec::new();
        for block in &self.encoder {
            let (out, skip) = block.forward(x, watcher);
            x = out;
            skips.push(skip);
        }
        watcher.part("encoder");
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, index % 2 == 1, frames, watcher);
        }
        watcher.part("separation");
        for (block, skip) in self.decoder.iter().zip(skips.into_iter().rev()) {
            x = block.forward(x, skip, watcher);
        }
        watcher.part("decoder");
        x
    }
}

impl SpectralConfig for ScnetConfig {
    type Network = Scnet;

    fn common(&self) -> &Common {
        &self.common
    }

    fn spectra(&self) -> Spectra {
        Spectra::new(self.common.nfft, self.common.hop, Window::Ones, self.normalized)
    }

    /// Loads all stems, which the network computes together.
    fn load(&self, _: &[usize], file: &dyn Tensors, device: &Device, format: Format) -> Result<Scnet, WeightsError> {
        Scnet::load(self, file, device, format)
    }
}

impl SpectralNetwork for Scnet {
    fn forward(&self, x: Tensor<4>, wanted: &[usize], watcher: &mut dyn Watcher) -> Tensor<4> {
        let stems = self.all_stems(x, watcher);
        if wanted.iter().copied().eq(0..self.config.common.stems.len()) {
            return stems;
        }
        let wanted = wanted.iter().map(|&stem| stems.clone().narrow(1, 4 * stem, 4)).collect();
        Tensor::cat(wanted, 1)
    }

    fn padded(&self, samples: usize) -> usize {
        self.config.padded(samples)
    }
}
