//! The operations of RoFormers on burn's tensors, on any device.

mod default;
mod flex;
#[cfg(all(test, any(feature = "wgpu", feature = "cuda")))]
mod gpu_tests;
mod operations;
mod parameters;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use self::operations::RoformerOps;
use self::parameters::{AttentionParameters, Layers};
use super::Linear;
use super::record::{Cost, recorded};
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::Precision;

/// The parameters of gated attention with rotated queries and keys.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    /// Packed rows of each head after the other: queries, keys, values.
    pub(crate) qkv: Tensor<2>,
    /// One row per head.
    pub(crate) gates: Linear,
    /// Packed.
    pub(crate) out: Tensor<2>,
    /// Number of heads.
    pub(crate) heads: usize,
    /// Channels of a head.
    pub(crate) width: usize,
}

/// The cost of products of this many multiplications and additions that move this many values.
fn cost(products: usize, values: usize) -> Cost {
    Cost { flop: 2 * products as u64, values }
}

/// Packs weights `[rows, terms]` for their device.
pub(crate) fn pack(weight: Tensor<2>, precision: Precision) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::pack_rows(weight.into_dispatch(), precision))
}

/// A linear layer on the bins of each band, normalised to length one. `bands` are the first bin and the number of bins.
///
/// # Shapes
///
/// - `spectrum`: `[items, 4, bins, frames]`
/// - output: `[items, channels, bands, frames]`
pub(crate) fn split_bands(spectrum: Tensor<4>, layers: &[Linear], bands: &[[usize; 2]]) -> Tensor<4> {
    let [items, _, bins, frames] = spectrum.dims();
    let (rows, terms) = (layers.first().map_or(0, Linear::rows), 4 * bands.iter().map(|[_, bins]| bins).sum::<usize>());
    let cost = cost(items * rows * terms * frames, rows * terms + items * frames * (4 * bins + rows * bands.len()));
    recorded("split_bands", cost, || {
        let layers = Layers(layers.iter().map(Linear::parameters).collect());
        Tensor::from_dispatch(Dispatch::split_bands(spectrum.into_dispatch(), layers, bands.to_vec()))
    })
}

/// Normalises each position to length one, times a scale per channel.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn rms_norm(x: Tensor<4>, scale: &Tensor<1>) -> Tensor<4> {
    let values = x.dims().into_iter().product::<usize>();
    recorded("rms_norm", cost(0, 2 * values), || {
        Tensor::from_dispatch(Dispatch::rms_norm(x.into_dispatch(), scale.clone().into_dispatch()))
    })
}

/// `x + out(gate · attention(x / |x|))`, along an axis: each row, or each frame, is a sequence. Queries and keys are
/// rotated by `tables`.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
/// - `tables`, cosines and sines: `[width / 2, positions of a sequence]`
pub(crate) fn attention(x: Tensor<4>, layer: &Attention, [cos, sin]: [Tensor<2>; 2], axis: Axis) -> Tensor<4> {
    let [items, channels, rows, frames] = x.dims();
    let (positions, length) = (items * rows * frames, if axis == Axis::Frames { frames } else { rows });
    let weights = (4 * layer.width + 1) * layer.heads * channels;
    let products = positions * (weights + 2 * layer.heads * layer.width * length);
    let name = if axis == Axis::Frames { "time_attention" } else { "band_attention" };
    recorded(name, cost(products, weights + 2 * channels * positions), || {
        let gates = layer.gates.parameters();
        let parameters = AttentionParameters {
            qkv: layer.qkv.clone().into_dispatch(),
            gates: gates.weight,
            gates_bias: gates.bias,
            out: layer.out.clone().into_dispatch(),
            cos: cos.into_dispatch(),
            sin: sin.into_dispatch(),
            heads: layer.heads,
            width: layer.width,
        };
        Tensor::from_dispatch(Dispatch::rotary_attention(x.into_dispatch(), parameters, axis))
    })
}

/// `x + second(gelu(first(x / |x|)))`.
///
/// # Shapes
///
/// - `x` and output: `[items, channels, rows, frames]`
pub(crate) fn feed_forward(x: Tensor<4>, [first, second]: [&Linear; 2]) -> Tensor<4> {
    let [items, channels, rows, frames] = x.dims();
    let (positions, weights) = (items * rows * frames, 2 * channels * first.rows());
    recorded("rms_feed_forward", cost(positions * weights, weights + 2 * channels * positions), || {
        let (first, second) = (first.parameters(), second.parameters());
        Tensor::from_dispatch(Dispatch::rms_feed_forward(x.into_dispatch(), first, second))
    })
}

/// Linear layers on each band with tanh between them; half of the last one's rows gate the other half. `layers` has
/// `depth` layers of the first band, then those of the second.
///
/// # Shapes
///
/// - `x`: `[items, channels, bands, frames]`
/// - output: `[items, bins of all bands, 4, frames]`
pub(crate) fn band_masks(x: Tensor<4>, layers: &[Linear], depth: usize) -> Tensor<4> {
    let [items, channels, bands, frames] = x.dims();
    let positions = items * frames;
    let (mut weights, mut outputs) = (0, 0);
    for layers in layers.chunks(depth) {
        let mut terms = channels;
        for layer in layers {
            weights += layer.rows() * terms;
            terms = layer.rows();
        }
        outputs += terms / 2;
    }
    recorded("band_masks", cost(positions * weights, weights + positions * (channels * bands + outputs)), || {
        let layers = Layers(layers.iter().map(Linear::parameters).collect());
        Tensor::from_dispatch(Dispatch::band_masks(x.into_dispatch(), layers, depth))
    })
}
