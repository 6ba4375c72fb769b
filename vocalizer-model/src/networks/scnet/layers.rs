//! Loads the layers of the encoder, the separation network and the decoder.

use burn::tensor::Tensor;

use crate::networks::loader::Loader;
use crate::ops::scnet::{Lstm, Unit, pack_lstm};
use crate::ops::{self, Linear, Norm};
use crate::weights::WeightsError;

fn bias(from: &Loader<'_>, name: &str, len: usize) -> Result<Tensor<1>, WeightsError> {
    Ok(from.on_device(from.values(name, [len])?, [len]))
}

/// Loads the weights of a layer, `[channels_out, ..]`, as a matrix, not packed.
fn matrix<const D: usize>(from: &Loader<'_>, shape: [usize; D]) -> Result<Tensor<2>, WeightsError> {
    Ok(from.on_device(from.values("weight", shape)?, [shape[0], shape[1..].iter().product()]))
}

/// Loads a layer for the operations of `ops::scnet`, whose weights have this shape, `[channels_out, channels_in, ..]`.
pub(super) fn layer<const D: usize>(from: &Loader<'_>, shape: [usize; D]) -> Result<Linear, WeightsError> {
    Ok(Linear {
        weight: ops::scnet::pack_layer(matrix(from, shape)?, from.format.packed),
        bias: bias(from, "bias", shape[0])?,
    })
}

/// Loads a 3×3 convolution that keeps rows and frames.
pub(super) fn same(from: &Loader<'_>, channels: usize) -> Result<Linear, WeightsError> {
    let weight = matrix(from, [channels, channels, 3, 3])?;
    Ok(Linear {
        weight: ops::scnet::pack_same(weight, [3, 3], from.format.packed),
        bias: bias(from, "bias", channels)?,
    })
}

/// Loads a transposed convolution over the rows of a band.
pub(super) fn transposed(
    from: &Loader<'_>,
    [input, out]: [usize; 2],
    [taps, stride]: [usize; 2],
) -> Result<Linear, WeightsError> {
    let weight = matrix(from, [input, out, taps, 1])?;
    Ok(Linear {
        weight: ops::scnet::pack_band(weight, out, stride, from.format.packed),
        bias: bias(from, "bias", out)?,
    })
}

/// Loads the 3×3 convolution of the decoder, whose input is the same channels twice: the two halves of its weights are
/// added, which saves half of the work.
pub(super) fn fusion(from: &Loader<'_>, channels: usize) -> Result<Linear, WeightsError> {
    let rows = 2 * channels;
    let values = from.values("weight", [rows, rows, 3, 3])?;
    let half = 9 * channels;
    let row = |row: &[f32]| row[..half].iter().zip(&row[half..]).map(|(a, b)| a + b).collect::<Vec<f32>>();
    let sums = values.chunks_exact(2 * half).flat_map(row).collect();
    Ok(Linear {
        weight: ops::pack_glu(from.on_device(sums, [rows, half]), [3, 3], from.format.packed),
        bias: bias(from, "bias", rows)?,
    })
}

/// Loads a normalisation with a scale and a shift per channel.
pub(super) fn norm(from: &Loader<'_>, channels: usize) -> Result<Norm, WeightsError> {
    Ok(Norm { weight: bias(from, "weight", channels)?, bias: bias(from, "bias", channels)? })
}

/// Loads a residual unit.
pub(super) fn unit(from: &Loader<'_>, channels: usize, hidden: usize) -> Result<Unit, WeightsError> {
    let depthwise = from.at(3);
    Ok(Unit {
        norm1: norm(&from.at(0), channels)?,
        compress: layer(&from.at(1), [2 * hidden, channels, 3])?,
        depthwise: Linear { weight: matrix(&depthwise, [hidden, 1, 3])?, bias: bias(&depthwise, "bias", hidden)? },
        norm2: norm(&from.at(4), hidden)?,
        expand: layer(&from.at(6), [channels, hidden, 1])?,
    })
}

/// Loads a bidirectional LSTM with as many hidden units as channels.
pub(super) fn lstm(from: &Loader<'_>, channels: usize) -> Result<Lstm, WeightsError> {
    let direction = |end: &str| {
        let rows = 4 * channels;
        let weight = |kind: &str| {
            let shape = [rows, channels];
            Ok::<_, WeightsError>(from.on_device(from.values(&format!("weight_{kind}_l0{end}"), shape)?, shape))
        };
        let bias = |kind: &str| from.values(&format!("bias_{kind}_l0{end}"), [rows]);
        let both = bias("ih")?.iter().zip(bias("hh")?).map(|(a, b)| a + b).collect();
        Ok::<_, WeightsError>(Linear {
            weight: pack_lstm(weight("ih")?, weight("hh")?, from.format.packed),
            bias: from.on_device(both, [rows]),
        })
    };
    Ok(Lstm { forward: direction("")?, backward: direction("_reverse")? })
}
