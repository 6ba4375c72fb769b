//! The operations composed of burn's own: for GPUs, and as the reference for the CPU.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Shape};

use super::super::default::{by_channel, dims, glu, linear, narrow, reshape};
use super::super::parameters::LinearParameters;
use super::parameters::{AttentionParameters, Layers};
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::rms::LEAST_LENGTH;

/// The most attention scores at once.
const SCORES: usize = 1 << 26;

/// Normalises each position of `[items, channels, ..]` to length one. In 16 bits, the least length would be zero, and the
/// squares of loud values infinite.
fn unit<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = x.dtype();
    let x = B::float_cast(x, DType::F32.into());
    let length = B::float_sqrt(B::float_sum_dim(B::float_mul(x.clone(), x.clone()), 1));
    let x = B::float_div(x, B::float_clamp_min(length, LEAST_LENGTH.into()));
    B::float_cast(x, dtype.into())
}

pub(super) fn rms_norm<B: Backend>(x: FloatTensor<B>, scale: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(unit::<B>(x), by_channel::<B>(scale))
}

pub(super) fn rms_feed_forward<B: Backend>(
    x: FloatTensor<B>,
    first: LinearParameters<B>,
    second: LinearParameters<B>,
) -> FloatTensor<B> {
    let hidden = B::gelu(linear::<B>(unit::<B>(x.clone()), first));
    B::float_add(x, linear::<B>(hidden, second))
}

pub(super) fn split_bands<B: Backend>(
    spectrum: FloatTensor<B>,
    layers: Layers<B>,
    bands: &[[usize; 2]],
) -> FloatTensor<B> {
    let [items, parts, _, frames] = dims::<B>(&spectrum);
    let bands = layers.0.into_iter().zip(bands).map(|(layer, &[first, bins])| {
        // Bin by bin, then by part.
        let band = B::float_swap_dims(narrow::<B>(spectrum.clone(), 2, first, bins), 1, 2);
        let band = unit::<B>(reshape::<B, 4>(band, [items, parts * bins, 1, frames]));
        linear::<B>(band, layer)
    });
    B::float_cat(bands.collect(), 2)
}

pub(super) fn band_masks<B: Backend>(x: FloatTensor<B>, layers: Layers<B>, depth: usize) -> FloatTensor<B> {
    let [items, _, bands, frames] = dims::<B>(&x);
    let mut layers = layers.0.into_iter();
    let masks = (0..bands).map(|band| {
        let mut y = narrow::<B>(x.clone(), 2, band, 1);
        for (index, layer) in layers.by_ref().take(depth).enumerate() {
            y = linear::<B>(if index > 0 { B::float_tanh(y) } else { y }, layer);
        }
        let y = glu::<B>(y);
        let bins = y.shape()[1] / 4;
        reshape::<B, 4>(y, [items, bins, 4, frames])
    });
    let masks: Vec<_> = masks.collect();
    B::float_cat(masks, 1)
}

/// Attends in groups of sequences, as many as have at most [`SCORES`].
pub(super) fn rotary_attention<B: Backend>(
    x: FloatTensor<B>,
    layer: &AttentionParameters<B>,
    axis: Axis,
) -> FloatTensor<B> {
    let [items, _, rows, frames] = dims::<B>(&x);
    let (dim, sequences, length) = if axis == Axis::Frames { (2, rows, frames) } else { (3, frames, rows) };
    let group = (SCORES / (items * layer.heads * length * length)).clamp(1, sequences);
    let groups = (0..sequences).step_by(group).map(|start| {
        let x = narrow::<B>(x.clone(), dim, start, group.min(sequences - start));
        B::float_add(x.clone(), attend::<B>(x, layer, axis))
    });
    B::float_cat(groups.collect(), dim)
}

/// A product of weights `[rows, channels]` with every position.
fn product<B: Backend>(weight: FloatTensor<B>, x: FloatTensor<B>) -> FloatTensor<B> {
    let (rows, items) = (weight.shape()[0], x.shape()[0]);
    let weight = reshape::<B, 3>(weight.clone(), [1, rows, weight.shape()[1]]);
    let terms = weight.shape()[2];
    B::float_matmul(B::float_expand(weight, Shape::from([items, rows, terms])), x)
}

/// Rotates neighbouring channels `[items · heads, width, rows, frames]` by the position along an axis.
pub(super) fn rotate<B: Backend>(x: FloatTensor<B>, layer: &AttentionParameters<B>, axis: Axis) -> FloatTensor<B> {
    let [items, width, rows, frames] = dims::<B>(&x);
    let pairs = reshape::<B, 5>(x, [items, width / 2, 2, rows, frames]);
    let part = |index| narrow::<B>(pairs.clone(), 2, index, 1);
    let table = |table: &FloatTensor<B>| match axis {
        Axis::Frames => reshape::<B, 5>(table.clone(), [1, width / 2, 1, 1, frames]),
        Axis::Rows => reshape::<B, 5>(table.clone(), [1, width / 2, 1, rows, 1]),
    };
    let (a, b, cos, sin) = (part(0), part(1), table(&layer.cos), table(&layer.sin));
    let first = B::float_sub(B::float_mul(a.clone(), cos.clone()), B::float_mul(b.clone(), sin.clone()));
    let second = B::float_add(B::float_mul(b, cos), B::float_mul(a, sin));
    reshape::<B, 4>(B::float_cat(vec![first, second], 2), [items, width, rows, frames])
}

/// Returns rotated queries, rotated keys, and values of normalised positions, `[items · heads, width, rows, frames]`
/// each.
pub(super) fn project<B: Backend>(
    x: FloatTensor<B>,
    layer: &AttentionParameters<B>,
    axis: Axis,
) -> [FloatTensor<B>; 3] {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let AttentionParameters { heads, width, .. } = *layer;
    let qkv = product::<B>(layer.qkv.clone(), reshape::<B, 3>(x, [items, channels, rows * frames]));
    let qkv = reshape::<B, 4>(qkv, [items * heads, 3 * width, rows, frames]);
    let [q, k, v] = [0, 1, 2].map(|kind| narrow::<B>(qkv.clone(), 1, kind * width, width));
    [rotate::<B>(q, layer, axis), rotate::<B>(k, layer, axis), v]
}

fn attend<B: Backend>(x: FloatTensor<B>, layer: &AttentionParameters<B>, axis: Axis) -> FloatTensor<B> {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let AttentionParameters { heads, width, .. } = *layer;
    let x = unit::<B>(x);
    let gates = LinearParameters { weight: layer.gates.clone(), bias: layer.gates_bias.clone() };
    let gates = B::sigmoid(linear::<B>(x.clone(), gates));
    // From channels, rows, frames to sequences, positions, channels; and back.
    let (order, back) = match axis {
        Axis::Frames => ([0, 2, 3, 1], [0, 3, 1, 2]),
        Axis::Rows => ([0, 3, 2, 1], [0, 3, 2, 1]),
    };
    let [q, k, v] = project::<B>(x, layer, axis).map(|x| B::float_permute(x, &order));
    #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
    let scale = 1.0 / (width as f32).sqrt();
    let scores = B::float_mul_scalar(B::float_matmul(q, B::float_swap_dims(k, 2, 3)), scale.into());
    let y = B::float_permute(B::float_matmul(B::softmax(scores, 3), v), &back);
    let y = B::float_mul(y, reshape::<B, 4>(gates, [items * heads, 1, rows, frames]));
    let y = product::<B>(layer.out.clone(), reshape::<B, 3>(y, [items, heads * width, rows * frames]));
    reshape::<B, 4>(y, [items, channels, rows, frames])
}
