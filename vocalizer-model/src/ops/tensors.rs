//! The operations on burn's tensors, on any device.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::network::NetworkOps;
use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};
use super::record::{Cost, recorded};
use vocalizer_kernels::conv::{Axis, STRIDE, TAPS};
use vocalizer_kernels::gemm::Precision;

/// A layer's packed weights and its bias.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// From [`pack`], [`pack_glu`] or [`pack_transposed`], or packed for the operations of one family.
    pub(crate) weight: Tensor<2>,
    /// `[rows]`.
    pub(crate) bias: Tensor<1>,
}

impl Linear {
    pub(super) fn rows(&self) -> usize {
        self.bias.dims()[0]
    }

    /// The cost of a product with this many terms at each of `positions`.
    pub(super) fn cost(&self, terms: usize, positions: usize) -> Cost {
        Cost { flop: flop([self.rows(), terms, positions]), values: self.rows() * (terms + 1) }
    }

    pub(super) fn parameters(&self) -> LinearParameters<Dispatch> {
        LinearParameters { weight: self.weight.clone().into_dispatch(), bias: self.bias.clone().into_dispatch() }
    }
}

/// The scale and shift of a normalisation, `[channels]` each.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    pub(crate) weight: Tensor<1>,
    pub(crate) bias: Tensor<1>,
}

impl Norm {
    pub(super) fn parameters(&self) -> NormParameters<Dispatch> {
        NormParameters { weight: self.weight.clone().into_dispatch(), bias: self.bias.clone().into_dispatch() }
    }
}

/// One layer of a residual branch.
#[derive(Debug, Clone)]
pub(crate) struct DConvLayer {
    pub(crate) compress: Linear,
    pub(crate) norm1: Norm,
    pub(crate) expand: Linear,
    pub(crate) norm2: Norm,
    pub(crate) scale: Tensor<1>,
    pub(crate) dilation: usize,
}

/// Returns the number of values of a tensor, and the number per channel over all items.
pub(super) fn extent(x: &Tensor<4>) -> [usize; 2] {
    let [items, channels, rows, frames] = x.dims();
    [items * channels * rows * frames, items * rows * frames]
}

/// Counts one multiplication and one addition per row, term and column of a product.
pub(super) fn flop(extents: [usize; 3]) -> u64 {
    extents.into_iter().fold(2, |flop, extent| flop * extent as u64)
}

impl Cost {
    /// Adds values read or written besides the weights.
    pub(super) fn moving(self, values: usize) -> Self {
        Self { values: self.values + values, ..self }
    }
}

/// Packs weights `[rows, terms]` for their device.
pub(crate) fn pack(weight: Tensor<2>, precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack(weight.into_dispatch(), precision))
}

/// Packs the weights of [`conv_glu`], `[rows, channels_in · taps]`, for their device.
pub(crate) fn pack_glu(weight: Tensor<2>, taps: [usize; 2], precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_glu(weight.into_dispatch(), taps, precision))
}

/// Packs the weights of a transposed convolution, `[channels_in, channels_out · 8]`, for their device.
pub(crate) fn pack_transposed(weight: Tensor<2>, channels_out: usize, precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_transposed(weight.into_dispatch(), channels_out, precision))
}

/// A convolution with eight taps and stride four, then GELU.
///
/// # Shapes
///
/// - `x`: `[items, channels_in, rows, frames]`
/// - output: the same with `channels_out`, and a quarter of the rows, or of the frames rounded up
pub(crate) fn strided_gelu(x: Tensor<4>, layer: &Linear, axis: Axis) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let out = positions.div_ceil(STRIDE);
    let cost = layer.cost(TAPS * x.dims()[1], out).moving(values + layer.rows() * out);
    recorded("strided_gelu", cost, || {
        Tensor::from_dispatch(Dispatch::strided_gelu(x.into_dispatch(), layer.parameters(), axis))
    })
}

/// An addition before or after a GLU convolution.
pub(crate) enum Extra {
    /// No addition.
    None,
    /// Added to the input: the skip connection, of the same shape.
    Skip(Tensor<4>),
    /// Added to the output: the frequency embedding, `[channels_out, rows]`.
    Embedding(Tensor<2>),
}

/// A convolution, then GLU, with an addition before or after.
///
/// # Shapes
///
/// - `x`: `[items, channels_in, rows, frames]`
/// - output: `[items, channels_out, rows, frames]`
pub(crate) fn conv_glu(x: Tensor<4>, extra: Extra, layer: &Linear, taps: [usize; 2]) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let (extra, extra_values) = match extra {
        Extra::None => (GluExtra::None, 0),
        Extra::Skip(skip) => (GluExtra::Skip(skip.into_dispatch()), values),
        Extra::Embedding(table) => (GluExtra::Embedding(table.into_dispatch()), 0),
    };
    let cost = layer.cost(taps[0] * taps[1] * x.dims()[1], positions);
    recorded("conv_glu", cost.moving(values + extra_values + layer.rows() / 2 * positions), || {
        Tensor::from_dispatch(Dispatch::conv_glu(x.into_dispatch(), extra, layer.parameters(), taps))
    })
}

/// A transposed convolution with eight taps and stride four, without its first two outputs, then GELU if `activate`.
///
/// # Shapes
///
/// - `x`: `[items, channels_in, rows, frames_in]`
/// - output: the same with `channels_out`, and four times the rows, or `frames`
pub(crate) fn transposed_gelu(x: Tensor<4>, layer: &Linear, axis: Axis, frames: usize, activate: bool) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let (taps, terms) = (TAPS * layer.rows(), x.dims()[1]);
    let cost = Cost { flop: flop([taps, terms, positions]), values: taps * terms };
    recorded("transposed_gelu", cost.moving(values + STRIDE * layer.rows() * positions), || {
        let (x, layer) = (x.into_dispatch(), layer.parameters());
        Tensor::from_dispatch(Dispatch::transposed_gelu(x, layer, axis, frames, activate))
    })
}

/// One layer of a residual branch, applied to each row separately and added to it.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn dconv(x: Tensor<4>, layer: &DConvLayer) -> Tensor<4> {
    let (compress, expand) = (layer.compress.parameters(), layer.expand.parameters());
    let (norm1, norm2) = (layer.norm1.parameters(), layer.norm2.parameters());
    let parameters = DConvParameters {
        compress: compress.weight,
        compress_bias: compress.bias,
        norm1: norm1.weight,
        norm1_bias: norm1.bias,
        expand: expand.weight,
        expand_bias: expand.bias,
        norm2: norm2.weight,
        norm2_bias: norm2.bias,
        scale: layer.scale.clone().into_dispatch(),
        dilation: layer.dilation,
    };
    let ([values, positions], channels) = (extent(&x), x.dims()[1]);
    let compress = layer.compress.cost(3 * channels, positions);
    let expand = layer.expand.cost(layer.compress.rows(), positions);
    let cost = Cost { flop: compress.flop + expand.flop, values: compress.values + expand.values };
    recorded("dconv", cost.moving(2 * values), || Tensor::from_dispatch(Dispatch::dconv(x.into_dispatch(), parameters)))
}

/// A layer norm over the channels, plus `table`.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
/// - `table`: `[1, channels, rows, frames]`
pub(crate) fn position_norm(x: Tensor<4>, norm: &Norm, table: Tensor<4>) -> Tensor<4> {
    let cost = Cost::default().moving(3 * extent(&x)[0]);
    recorded("position_norm", cost, || {
        Tensor::from_dispatch(Dispatch::position_norm(x.into_dispatch(), norm.parameters(), table.into_dispatch()))
    })
}

/// A linear layer over the channels, after an optional layer norm.
///
/// # Shapes
///
/// - `x`: `[items, channels_in, rows, frames]`
/// - output: `[items, channels_out, rows, frames]`
pub(crate) fn linear(x: Tensor<4>, norm: Option<&Norm>, layer: &Linear) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let cost = layer.cost(x.dims()[1], positions).moving(values + layer.rows() * positions);
    recorded("linear", cost, || {
        let (x, layer) = (x.into_dispatch(), layer.parameters());
        Tensor::from_dispatch(match norm {
            Some(norm) => Dispatch::norm_linear(x, norm.parameters(), layer),
            None => Dispatch::linear(x, layer),
        })
    })
}

/// `x + scale · layer(y)`.
///
/// # Shapes
///
/// - `x`, `y` and output: `[items, channels, rows, frames]`
pub(crate) fn linear_residual(x: Tensor<4>, y: Tensor<4>, layer: &Linear, scale: &Tensor<1>) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let cost = layer.cost(y.dims()[1], positions).moving(3 * values);
    recorded("linear_residual", cost, || {
        let (x, y, scale) = (x.into_dispatch(), y.into_dispatch(), scale.clone().into_dispatch());
        Tensor::from_dispatch(Dispatch::linear_residual(x, y, layer.parameters(), scale))
    })
}

/// `x + scale · second(gelu(first(norm(x))))`.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn feed_forward(x: Tensor<4>, norm: &Norm, [first, second]: [&Linear; 2], scale: &Tensor<1>) -> Tensor<4> {
    let [values, positions] = extent(&x);
    let [up, down] = [first.cost(x.dims()[1], positions), second.cost(first.rows(), positions)];
    let cost = Cost { flop: up.flop + down.flop, values: up.values + down.values };
    recorded("feed_forward", cost.moving(2 * values), || {
        let (x, scale) = (x.into_dispatch(), scale.clone().into_dispatch());
        let (first, second) = (first.parameters(), second.parameters());
        Tensor::from_dispatch(Dispatch::feed_forward(x, norm.parameters(), first, second, scale))
    })
}

/// Multi-head attention; queries, keys and values are `channels` channels each, starting at `firsts`. The layer's packed
/// weights have this precision.
///
/// # Shapes
///
/// - `x`, with the queries: `[items, .., rows, frames]`
/// - `other`, with keys and values: `[items, .., other_rows, other_frames]`
/// - output: `[items, channels, rows, frames]`
pub(crate) fn attention(
    x: Tensor<4>,
    other: Tensor<4>,
    firsts: [usize; 3],
    [heads, channels]: [usize; 2],
    precision: Precision,
) -> Tensor<4> {
    let ([_, queries], [_, keys]) = (extent(&x), extent(&other));
    let cost =
        Cost { flop: 2 * flop([queries, keys / x.dims()[0], channels]), values: 2 * channels * (queries + keys) };
    recorded("attention", cost, || {
        let (x, other) = (x.into_dispatch(), other.into_dispatch());
        Tensor::from_dispatch(Dispatch::attention(x, other, firsts, heads, channels, precision))
    })
}

/// A normalisation over each whole item.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn group_norm(x: Tensor<4>, norm: &Norm) -> Tensor<4> {
    let cost = Cost::default().moving(2 * extent(&x)[0]);
    recorded("group_norm", cost, || Tensor::from_dispatch(Dispatch::group_norm(x.into_dispatch(), norm.parameters())))
}
