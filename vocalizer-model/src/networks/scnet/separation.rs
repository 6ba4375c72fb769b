//! The dual-path layers between encoder and decoder.

use burn::tensor::{Tensor, TensorData};

use super::config::ScnetConfig;
use super::layers::{layer, lstm, norm};
use crate::networks::Watcher;
use crate::networks::loader::Loader;
use crate::ops::scnet::{self, Lstm};
use crate::ops::{self, Axis, Linear, Norm};
use crate::weights::WeightsError;

/// An LSTM along one axis, in a residual branch.
#[derive(Debug)]
struct Path {
    norm: Norm,
    lstm: Lstm,
    linear: Linear,
    axis: Axis,
}

/// A layer: along frequency, along time, then a Fourier transform of each row or its inverse.
#[derive(Debug)]
pub(super) struct DualPath {
    name: String,
    conversion: String,
    paths: [Path; 2],
}

impl DualPath {
    pub(super) fn load(root: &Loader<'_>, config: &ScnetConfig, index: usize) -> Result<Self, WeightsError> {
        let name = format!("separation_net.dp_modules.{index}");
        let from = root.at(&name);
        let channels = config.width(index);
        let path = |path: usize, axis: Axis| {
            Ok::<_, WeightsError>(Path {
                norm: norm(&from.at("norm_layers").at(path), channels)?,
                lstm: lstm(&from.at("lstm_layers").at(path), channels)?,
                linear: layer(&from.at("linear_layers").at(path), [channels, 2 * channels])?,
                axis,
            })
        };
        let paths = [path(0, Axis::Rows)?, path(1, Axis::Frames)?];
        Ok(Self { name, conversion: format!("separation_net.feature_conversion.{index}"), paths })
    }

    /// Applies the layer. The inverse transform returns to `frames`, the number of frames of the spectrogram.
    ///
    /// # Shapes
    ///
    /// - `x`: `[items, channels, rows, frames]`, or with twice the channels and half the frames and one
    /// - output: the other of these
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        inverse: bool,
        frames: usize,
        watcher: &mut dyn Watcher,
    ) -> Tensor<4> {
        let name = &self.name;
        for (index, path) in self.paths.iter().enumerate() {
            watcher
                .output(&format!("{name}.norm_layers.{index}"), &|| ops::group_norm(x.clone(), &path.norm).into_data());
            let y = scnet::bilstm(x.clone(), &path.norm, &path.lstm, path.axis);
            watcher.output(&format!("{name}.lstm_layers.{index}"), &|| by_sequence(y.clone()));
            watcher.output(&format!("{name}.lstm_layers.{index}#1"), &|| last_states(&y));
            let linear = format!("{name}.linear_layers.{index}");
            watcher.output(&linear, &|| {
                let added = scnet::lstm_residual(x.zeros_like(), y.clone(), &path.linear, path.axis);
                by_sequence(if path.axis == Axis::Rows { added } else { added.swap_dims(2, 3) })
            });
            x = scnet::lstm_residual(x, y, &path.linear, path.axis);
            watcher.ran(&linear);
        }
        watcher.output(name, &|| x.to_data());
        let x = if inverse { scnet::inverse_fourier(x, frames) } else { scnet::fourier(x) };
        watcher.output(&self.conversion, &|| x.to_data());
        x
    }
}

/// Returns values `[1, channels, steps, sequences]` as `[sequences, steps, channels]`, as in the reference.
fn by_sequence(x: Tensor<4>) -> TensorData {
    let [items, channels, steps, sequences] = x.dims();
    x.permute([0, 3, 2, 1]).reshape([items * sequences, steps, channels]).into_data()
}

/// Returns the last state of each direction, `[2, sequences, hidden]`.
fn last_states(y: &Tensor<4>) -> TensorData {
    let [_, channels, steps, sequences] = y.dims();
    let hidden = channels / 2;
    let state = |direction: usize, step: usize| {
        let state = y.clone().narrow(1, direction * hidden, hidden).narrow(2, step, 1);
        state.permute([2, 0, 3, 1]).reshape([1, sequences, hidden])
    };
    Tensor::cat(vec![state(0, steps - 1), state(1, 0)], 0).into_data()
}
