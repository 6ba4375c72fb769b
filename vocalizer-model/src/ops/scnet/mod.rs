//! The operations of SCNet on burn's tensors, on any device, beside those of `ops`.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
mod default;
mod flex;
mod network;
mod parameters;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;
pub(crate) use vocalizer_kernels::band_conv::Band;
use vocalizer_kernels::gemm::Precision;

use self::network::ScnetOps;
use self::parameters::{BandsParameters, LstmParameters, UnitParameters};
use super::record::{Cost, recorded};
use super::tensors::{extent, flop};
use super::{Axis, Linear, Norm};

/// A residual unit of a convolution module.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) norm1: Norm,
    /// To twice the hidden channels, three taps.
    pub(crate) compress: Linear,
    /// `[hidden, 3]`, not packed.
    pub(crate) depthwise: Linear,
    pub(crate) norm2: Norm,
    pub(crate) expand: Linear,
}

/// A bidirectional LSTM: packed weights, and both biases added.
#[derive(Debug, Clone)]
pub(crate) struct Lstm {
    /// From [`pack_lstm`].
    pub(crate) forward: Linear,
    /// The same.
    pub(crate) backward: Linear,
}

fn bands_parameters([low, mid, high]: &[Linear; 3]) -> BandsParameters<Dispatch> {
    BandsParameters { low: low.parameters(), mid: mid.parameters(), high: high.parameters() }
}

/// Packs weights `[rows, terms]` for the operations of this module and their device. Those of `ops` are packed
/// differently on some devices.
pub(crate) fn pack_layer(weight: Tensor<2>, precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_layer(weight.into_dispatch(), precision))
}

/// Packs the weights of [`same_conv`], `[rows, channels_in · taps]`, for their device.
pub(crate) fn pack_same(weight: Tensor<2>, taps: [usize; 2], precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_same(weight.into_dispatch(), taps, precision))
}

/// Packs the weights of one direction of an LSTM, `[4 · hidden, inputs]` and `[4 · hidden, hidden]`, for their device.
pub(crate) fn pack_lstm(input: Tensor<2>, state: Tensor<2>, precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_lstm(input.into_dispatch(), state.into_dispatch(), precision))
}

/// Packs the weights of a band's transposed convolution, `[channels_in, channels_out · taps]`, for their device.
pub(crate) fn pack_band(weight: Tensor<2>, channels_out: usize, stride: usize, precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_band(weight.into_dispatch(), channels_out, stride, precision))
}

/// Returns the cost of convolutions of bands between `fine` and `coarse` values per row.
fn bands_cost(layers: &[Linear; 3], bands: [Band; 3], channels: usize, positions: usize) -> Cost {
    layers.iter().zip(bands).fold(Cost::default(), |cost, (layer, band)| {
        let own = layer.cost(channels * band.taps, positions * band.coarse_rows());
        Cost { flop: cost.flop + own.flop, values: cost.values + own.values }
    })
}

/// A convolution over the rows of each band, with its taps and stride; the bands' outputs follow each other.
///
/// # Shapes
///
/// - `x`: `[items, channels_in, rows, frames]`
/// - output: `[items, channels_out, coarse rows of all bands, frames]`
pub(crate) fn bands_conv(x: Tensor<4>, layers: &[Linear; 3], bands: [Band; 3]) -> Tensor<4> {
    let [items, channels, _, frames] = x.dims();
    let out = layers[0].rows() * items * frames * bands.map(Band::coarse_rows).iter().sum::<usize>();
    let cost = bands_cost(layers, bands, channels, items * frames).moving(extent(&x)[0] + out);
    recorded("bands_conv", cost, || {
        Tensor::from_dispatch(Dispatch::bands_conv(x.into_dispatch(), bands_parameters(layers), bands))
    })
}

/// The transposed convolution that undoes the extents of [`bands_conv`]. Weights come from [`pack_band`].
///
/// # Shapes
///
/// - `x`: `[items, channels_in, coarse rows of all bands, frames]`
/// - output: `[items, channels_out, rows, frames]`
pub(crate) fn bands_transposed(x: Tensor<4>, layers: &[Linear; 3], bands: [Band; 3]) -> Tensor<4> {
    let [items, channels, _, frames] = x.dims();
    let out = layers[0].rows() * items * frames * bands.iter().map(|band| band.rows).sum::<usize>();
    let cost = bands_cost(layers, bands, channels, items * frames).moving(extent(&x)[0] + out);
    recorded("bands_transposed", cost, || {
        Tensor::from_dispatch(Dispatch::bands_transposed(x.into_dispatch(), bands_parameters(layers), bands))
    })
}

/// A convolution that keeps rows and frames; `taps` are odd.
///
/// # Shapes
///
/// - `x`: `[items, channels_in, rows, frames]`
/// - output: `[items, channels_out, rows, frames]`
pub(crate) fn same_conv(x: Tensor<4>, layer: &Linear, taps: [usize; 2]) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let cost = layer.cost(taps[0] * taps[1] * x.dims()[1], positions).moving(values + layer.rows() * positions);
    recorded("same_conv", cost, || {
        Tensor::from_dispatch(Dispatch::same_conv(x.into_dispatch(), layer.parameters(), taps))
    })
}

/// A residual unit, applied to each of `count` rows from `first` separately; then GELU on them if `activate`.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn unit(x: Tensor<4>, unit: &Unit, [first, count]: [usize; 2], activate: bool) -> Tensor<4> {
    let [items, channels, _, frames] = x.dims();
    let (positions, hidden) = (items * count * frames, unit.depthwise.rows());
    let cost = Cost {
        flop: flop([2 * hidden, 3 * channels, positions]) + flop([channels, hidden, positions]),
        values: 2 * channels * positions,
    };
    let parameters = UnitParameters {
        norm1: unit.norm1.weight.clone().into_dispatch(),
        norm1_bias: unit.norm1.bias.clone().into_dispatch(),
        compress: unit.compress.weight.clone().into_dispatch(),
        compress_bias: unit.compress.bias.clone().into_dispatch(),
        depthwise: unit.depthwise.weight.clone().into_dispatch(),
        depthwise_bias: unit.depthwise.bias.clone().into_dispatch(),
        norm2: unit.norm2.weight.clone().into_dispatch(),
        norm2_bias: unit.norm2.bias.clone().into_dispatch(),
        expand: unit.expand.weight.clone().into_dispatch(),
        expand_bias: unit.expand.bias.clone().into_dispatch(),
    };
    recorded("unit", cost, || {
        Tensor::from_dispatch(Dispatch::unit(x.into_dispatch(), parameters, first, count, activate))
    })
}

/// A bidirectional LSTM over the rows or the frames of the values, normalised over each whole item.
///
/// # Shapes
///
/// - `x`: `[items, channels, rows, frames]`
/// - output: `[items, 2 * hidden, rows, frames]` over rows, `[items, 2 * hidden, frames, rows]` over frames
pub(crate) fn bilstm(x: Tensor<4>, norm: &Norm, lstm: &Lstm, axis: Axis) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let (gates, channels) = (lstm.forward.rows(), x.dims()[1]);
    let cost = Cost {
        flop: 2 * flop([gates, channels + gates / 4, positions]),
        values: 2 * gates * (channels + gates / 4) + values + gates / 2 * positions,
    };
    let parameters = LstmParameters { forward: lstm.forward.parameters(), backward: lstm.backward.parameters() };
    let name = if axis == Axis::Rows { "bilstm over rows" } else { "bilstm over frames" };
    recorded(name, cost, || {
        Tensor::from_dispatch(Dispatch::bilstm(x.into_dispatch(), norm.parameters(), parameters, axis))
    })
}

/// `x + layer(y)`, where `y` is the output of [`bilstm`] over this axis of `x`.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn lstm_residual(x: Tensor<4>, y: Tensor<4>, layer: &Linear, axis: Axis) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let cost = layer.cost(y.dims()[1], positions).moving(2 * values + extent(&y)[0]);
    recorded("lstm_residual", cost, || {
        Tensor::from_dispatch(Dispatch::lstm_residual(x.into_dispatch(), y.into_dispatch(), layer.parameters(), axis))
    })
}

/// The orthonormal Fourier transform of each row: the real parts of all channels, then the imaginary parts.
///
/// # Shapes
///
/// - `x`: `[items, channels, rows, frames]`
/// - output: `[items, 2 * channels, rows, frames / 2 + 1]`
pub(crate) fn fourier(x: Tensor<4>) -> Tensor<4> {
    let cost = Cost::default().moving(2 * extent(&x)[0]);
    recorded("fourier", cost, || Tensor::from_dispatch(Dispatch::fourier(x.into_dispatch())))
}

/// The inverse of [`fourier`] for an even number of frames.
///
/// # Shapes
///
/// - `x`: `[items, 2 * channels, rows, frames / 2 + 1]`
/// - output: `[items, channels, rows, frames]`
pub(crate) fn inverse_fourier(x: Tensor<4>, frames: usize) -> Tensor<4> {
    let cost = Cost::default().moving(2 * extent(&x)[0]);
    recorded("inverse_fourier", cost, || Tensor::from_dispatch(Dispatch::inverse_fourier(x.into_dispatch(), frames)))
}
