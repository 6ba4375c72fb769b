//! A block of the decoder.

use burn::tensor::Tensor;

use super::config::{BLOCKS, ScnetConfig};
use super::layers::{fusion, transposed};
use crate::networks::Watcher;
use crate::networks::loader::Loader;
use crate::ops::scnet::{self, Band};
use crate::ops::{self, Extra, Linear};
use crate::weights::WeightsError;

/// Adds the skip connection, and restores the rows of each band.
#[derive(Debug)]
pub(super) struct Decoder {
    name: String,
    bands: [Band; 3],
    fusion: Linear,
    restore: [Linear; 3],
}

impl Decoder {
    /// Loads the block that mirrors encoder block `block`.
    pub(super) fn load(
        root: &Loader<'_>,
        config: &ScnetConfig,
        block: usize,
        bands: [Band; 3],
    ) -> Result<Self, WeightsError> {
        let name = format!("decoder.{}", BLOCKS - 1 - block);
        let from = root.at(&name);
        let channels = config.dims[block + 1];
        let restore = |band: usize| {
            let from = from.at("1.convtrs").at(band);
            transposed(&from, [channels, config.outer(block)], [config.kernels[band], config.strides[band]])
        };
        Ok(Self {
            bands,
            fusion: fusion(&from.at("0.conv"), channels)?,
            restore: [restore(0)?, restore(1)?, restore(2)?],
            name,
        })
    }

    /// # Shapes
    ///
    /// - `x`, `skip`: `[items, channels_in, coarse rows, frames]`
    /// - output: `[items, channels_out, rows, frames]`
    pub(super) fn forward(&self, x: Tensor<4>, skip: Tensor<4>, watcher: &mut dyn Watcher) -> Tensor<4> {
        let x = ops::conv_glu(x, Extra::Skip(skip), &self.fusion, [3, 3]);
        watcher.output(&format!("{}.0", self.name), &|| x.to_data());
        let x = scnet::bands_transposed(x, &self.restore, self.bands);
        watcher.output(&format!("{}.1", self.name), &|| x.to_data());
        x
    }
}
