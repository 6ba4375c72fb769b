//! A block of the encoder.

use burn::tensor::{Tensor, TensorData};

use super::config::ScnetConfig;
use super::layers::{layer, same, unit};
use crate::networks::Watcher;
use crate::networks::loader::Loader;
use crate::ops::Linear;
use crate::ops::scnet::{self, Band, Unit};
use crate::weights::WeightsError;

/// Thins out the rows of each band, applies its residual units to each row, and joins the bands.
#[derive(Debug)]
pub(super) struct Encoder {
    name: String,
    bands: [Band; 3],
    thin: [Linear; 3],
    units: [Vec<Unit>; 3],
    globalconv: Linear,
}

impl Encoder {
    pub(super) fn load(
        root: &Loader<'_>,
        config: &ScnetConfig,
        block: usize,
        bands: [Band; 3],
    ) -> Result<Self, WeightsError> {
        let name = format!("encoder.{block}");
        let from = root.at(&name);
        let [input, channels] = [config.dims[block], config.dims[block + 1]];
        let thin = |band: usize| layer(&from.at("SDlayer.convs").at(band), [channels, input, config.kernels[band], 1]);
        let units = |band: usize| {
            let from = from.at("conv_modules").at(band).at("layers");
            let hidden = channels / config.compress;
            let units = (0..config.conv_depths[band]).map(|index| unit(&from.at(index), channels, hidden));
            units.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            bands,
            thin: [thin(0)?, thin(1)?, thin(2)?],
            units: [units(0)?, units(1)?, units(2)?],
            globalconv: same(&from.at("globalconv"), channels)?,
            name,
        })
    }

    /// Returns the block's output and the skip connection.
    ///
    /// # Shapes
    ///
    /// - `x`: `[items, channels_in, rows, frames]`
    /// - outputs: `[items, channels_out, coarse rows, frames]`
    pub(super) fn forward(&self, x: Tensor<4>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<4>) {
        let name = &self.name;
        let mut x = scnet::bands_conv(x, &self.thin, self.bands);
        let mut first = 0;
        for (index, (band, units)) in self.bands.iter().zip(&self.units).enumerate() {
            let rows = [first, band.coarse_rows()];
            first += band.coarse_rows();
            watcher.output(&numbered(&format!("{name}.SDlayer"), index), &|| own(&x, rows).into_data());
            let module = format!("{name}.conv_modules.{index}");
            for (depth, unit) in units.iter().enumerate() {
                let is_last = depth + 1 == units.len();
                let layer = format!("{module}.layers.{depth}");
                // Before the unit changes the values in place.
                let without_gelu = || scnet::unit(x.clone(), unit, rows, false);
                watcher.output(&layer, &|| by_row(own(&(without_gelu() - x.clone()), rows)));
                if is_last {
                    watcher.output(&module, &|| by_row(own(&without_gelu(), rows)));
                }
                x = scnet::unit(x, unit, rows, is_last);
                watcher.ran(&layer);
            }
        }
        let out = scnet::same_conv(x.clone(), &self.globalconv, [3, 3]);
        watcher.output(&format!("{name}.globalconv"), &|| out.to_data());
        watcher.output(name, &|| out.to_data());
        watcher.output(&numbered(name, 1), &|| x.to_data());
        (out, x)
    }
}

/// Returns the name of an output of a module.
fn numbered(module: &str, index: usize) -> String {
    if index == 0 { module.into() } else { format!("{module}#{index}") }
}

/// Returns some rows.
fn own(x: &Tensor<4>, [first, count]: [usize; 2]) -> Tensor<4> {
    x.clone().narrow(2, first, count)
}

/// Returns the values with each row as an item, as in the reference.
fn by_row(x: Tensor<4>) -> TensorData {
    let [items, channels, rows, frames] = x.dims();
    x.swap_dims(1, 2).reshape([items * rows, channels, frames]).into_data()
}
