//! The operations composed of burn's own: for backends without an implementation, and as the reference for the others.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Slice, TensorMetadata};
use burn::tensor::Shape;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};
use vocalizer_kernels::conv::{Axis, STRIDE, TAPS};
use vocalizer_kernels::norm::EPSILON;

pub(super) fn dims<B: Backend>(x: &FloatTensor<B>) -> [usize; 4] {
    let shape = x.shape();
    std::array::from_fn(|i| shape[i])
}

pub(super) fn reshape<B: Backend, const N: usize>(x: FloatTensor<B>, shape: [usize; N]) -> FloatTensor<B> {
    B::float_reshape(x, Shape::from(shape))
}

/// Returns `len` values of dimension `dim`, from `start`.
pub(super) fn narrow<B: Backend>(x: FloatTensor<B>, dim: usize, start: usize, len: usize) -> FloatTensor<B> {
    let slices: Vec<Slice> = (0..x.shape().num_dims())
        .map(|d| if d == dim { Slice::from(start..start + len) } else { Slice::from(0..x.shape()[d]) })
        .collect();
    B::float_slice(x, &slices)
}

/// Reshapes one value per channel to broadcast over `[items, channels, rows, frames]`.
pub(super) fn by_channel<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let channels = values.shape()[0];
    reshape::<B, 4>(values, [1, channels, 1, 1])
}

pub(super) fn glu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let half = x.shape()[1] / 2;
    let gate = B::sigmoid(narrow::<B>(x.clone(), 1, half, half));
    B::float_mul(narrow::<B>(x, 1, 0, half), gate)
}

/// The shape of a kernel with `taps` along one axis.
fn along(axis: Axis, taps: usize, across: usize) -> [usize; 2] {
    match axis {
        Axis::Rows => [taps, across],
        Axis::Frames => [across, taps],
    }
}

pub(super) fn conv<B: Backend>(
    x: FloatTensor<B>,
    layer: LinearParameters<B>,
    [tall, wide]: [usize; 2],
    options: ConvOptions<2>,
) -> FloatTensor<B> {
    let (rows, channels) = (layer.bias.shape()[0], x.shape()[1]);
    B::conv2d(x, reshape::<B, 4>(layer.weight, [rows, channels, tall, wide]), Some(layer.bias), options)
}

pub(super) fn strided_gelu<B: Backend>(x: FloatTensor<B>, layer: LinearParameters<B>, axis: Axis) -> FloatTensor<B> {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let tail = frames.next_multiple_of(STRIDE) - frames;
    let x = if axis == Axis::Rows || tail == 0 {
        x
    } else {
        let zeros = B::float_zeros(Shape::from([items, channels, rows, tail]), &x.device(), x.dtype().into());
        B::float_cat(vec![x, zeros], 3)
    };
    let options = ConvOptions::new(along(axis, STRIDE, 1), along(axis, 2, 0), [1, 1], 1);
    B::gelu(conv::<B>(x, layer, along(axis, TAPS, 1), options))
}

pub(super) fn conv_glu<B: Backend>(
    x: FloatTensor<B>,
    extra: GluExtra<B>,
    layer: LinearParameters<B>,
    taps: [usize; 2],
) -> FloatTensor<B> {
    let options = ConvOptions::new([1, 1], taps.map(|t| t / 2), [1, 1], 1);
    let gated = |x, layer| glu::<B>(conv::<B>(x, layer, taps, options));
    match extra {
        GluExtra::None => gated(x, layer),
        GluExtra::Skip(skip) => gated(B::float_add(x, skip), layer),
        GluExtra::Embedding(table) => {
            let [channels, rows] = [table.shape()[0], table.shape()[1]];
            B::float_add(gated(x, layer), reshape::<B, 4>(table, [1, channels, rows, 1]))
        }
    }
}

pub(super) fn transposed_gelu<B: Backend>(
    x: FloatTensor<B>,
    layer: LinearParameters<B>,
    axis: Axis,
    frames: usize,
    activate: bool,
) -> FloatTensor<B> {
    let [_, channels, rows, _] = dims::<B>(&x);
    let [tall, wide] = along(axis, TAPS, 1);
    let weight = reshape::<B, 4>(layer.weight, [channels, layer.bias.shape()[0], tall, wide]);
    let options = ConvTransposeOptions::new(along(axis, STRIDE, 1), [0, 0], [0, 0], [1, 1], 1);
    let y = B::conv_transpose2d(x, weight, Some(layer.bias), options);
    let y = match axis {
        Axis::Rows => narrow::<B>(y, 2, 2, STRIDE * rows),
        Axis::Frames => narrow::<B>(y, 3, 2, frames),
    };
    if activate { B::gelu(y) } else { y }
}

pub(super) fn dconv<B: Backend>(x: FloatTensor<B>, layer: DConvParameters<B>) -> FloatTensor<B> {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let DConvParameters { compress, compress_bias, norm1, norm1_bias, .. } = layer;
    // Each row becomes an item.
    let by_row = reshape::<B, 4>(B::float_swap_dims(x.clone(), 1, 2), [items * rows, channels, 1, frames]);
    let compress = LinearParameters { weight: compress, bias: compress_bias };
    let options = ConvOptions::new([1, 1], [0, layer.dilation], [1, layer.dilation], 1);
    let y = conv::<B>(by_row, compress, [1, 3], options);
    let y = B::gelu(group_norm::<B>(y, NormParameters { weight: norm1, bias: norm1_bias }));
    let y = linear::<B>(y, LinearParameters { weight: layer.expand, bias: layer.expand_bias });
    let y = glu::<B>(group_norm::<B>(y, NormParameters { weight: layer.norm2, bias: layer.norm2_bias }));
    let y = B::float_swap_dims(reshape::<B, 4>(y, [items, rows, channels, frames]), 1, 2);
    residual::<B>(x, y, layer.scale)
}

/// Returns `x + scale · y`.
fn residual<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>, scale: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(x, B::float_mul(y, by_channel::<B>(scale)))
}

pub(super) fn linear<B: Backend>(x: FloatTensor<B>, layer: LinearParameters<B>) -> FloatTensor<B> {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let out = layer.bias.shape()[0];
    let weight = reshape::<B, 3>(layer.weight, [1, out, channels]);
    let weight = B::float_expand(weight, Shape::from([items, out, channels]));
    let y = B::float_matmul(weight, reshape::<B, 3>(x, [items, channels, rows * frames]));
    B::float_add(reshape::<B, 4>(y, [items, out, rows, frames]), by_channel::<B>(layer.bias))
}

/// Normalises over dimension 1. The caller reshapes accordingly.
fn normalise<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let x = B::float_sub(x.clone(), B::float_mean_dim(x, 1));
    let variance = B::float_mean_dim(B::float_mul(x.clone(), x.clone()), 1);
    B::float_div(x, B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())))
}

pub(super) fn affine<B: Backend>(x: FloatTensor<B>, norm: NormParameters<B>) -> FloatTensor<B> {
    B::float_add(B::float_mul(x, by_channel::<B>(norm.weight)), by_channel::<B>(norm.bias))
}

fn layer_norm<B: Backend>(x: FloatTensor<B>, norm: NormParameters<B>) -> FloatTensor<B> {
    affine::<B>(normalise::<B>(x), norm)
}

pub(super) fn position_norm<B: Backend>(
    x: FloatTensor<B>,
    norm: NormParameters<B>,
    table: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_add(layer_norm::<B>(x, norm), table)
}

pub(super) fn norm_linear<B: Backend>(
    x: FloatTensor<B>,
    norm: NormParameters<B>,
    layer: LinearParameters<B>,
) -> FloatTensor<B> {
    linear::<B>(layer_norm::<B>(x, norm), layer)
}

pub(super) fn linear_residual<B: Backend>(
    x: FloatTensor<B>,
    y: FloatTensor<B>,
    layer: LinearParameters<B>,
    scale: FloatTensor<B>,
) -> FloatTensor<B> {
    residual::<B>(x, linear::<B>(y, layer), scale)
}

pub(super) fn feed_forward<B: Backend>(
    x: FloatTensor<B>,
    norm: NormParameters<B>,
    first: LinearParameters<B>,
    second: LinearParameters<B>,
    scale: FloatTensor<B>,
) -> FloatTensor<B> {
    let hidden = B::gelu(norm_linear::<B>(x.clone(), norm, first));
    linear_residual::<B>(x, hidden, second, scale)
}

pub(super) fn group_norm<B: Backend>(x: FloatTensor<B>, norm: NormParameters<B>) -> FloatTensor<B> {
    let shape = dims::<B>(&x);
    let [items, channels, rows, frames] = shape;
    let y = normalise::<B>(reshape::<B, 2>(x, [items, channels * rows * frames]));
    affine::<B>(reshape::<B, 4>(y, shape), norm)
}

pub(super) fn attention<B: Backend>(
    x: FloatTensor<B>,
    other: FloatTensor<B>,
    [q, k, v]: [usize; 3],
    [heads, channels]: [usize; 2],
) -> FloatTensor<B> {
    let [items, _, rows, frames] = dims::<B>(&x);
    let split = |x: FloatTensor<B>, first: usize| {
        let [items, _, rows, frames] = dims::<B>(&x);
        let x = reshape::<B, 4>(narrow::<B>(x, 1, first, channels), [items, heads, channels / heads, rows * frames]);
        B::float_swap_dims(x, 2, 3)
    };
    let (q, k, v) = (split(x, q), split(other.clone(), k), split(other, v));
    #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
    let scale = 1.0 / ((channels / heads) as f32).sqrt();
    let scores = B::float_mul_scalar(B::float_matmul(q, B::float_swap_dims(k, 2, 3)), scale.into());
    let y = B::float_swap_dims(B::float_matmul(B::softmax(scores, 3), v), 2, 3);
    reshape::<B, 4>(y, [items, channels, rows, frames])
}
