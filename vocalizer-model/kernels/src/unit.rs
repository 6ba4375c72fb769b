//! The residual units of a convolution module: each row of a spectrogram is a signal of its own, and stays in a core's
//! cache for the whole unit.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, product, row_stride};
use crate::grid::{Extent, Piece, Shared, pieces};
use crate::norm::{Moments, row_moments};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, gelu, sigmoid};

/// Taps of both convolutions over frames.
pub const TAPS: usize = 3;

/// One unit: norm, convolution, GLU, depthwise convolution, norm, x · sigmoid(x), 1×1 convolution.
#[derive(Clone, Copy)]
pub struct Unit<'a> {
    /// Scale and shift of the first norm, per channel.
    pub norm1: [&'a [f32]; 2],
    /// `[2 · hidden, channels · 3]`.
    pub compress: Panels<'a>,
    /// The bias of the first convolution.
    pub compress_bias: &'a [f32],
    /// `[hidden, 3]`.
    pub depthwise: &'a [f32],
    /// The bias of the depthwise convolution.
    pub depthwise_bias: &'a [f32],
    /// Scale and shift of the second norm, per hidden channel.
    pub norm2: [&'a [f32]; 2],
    /// `[channels, hidden]`.
    pub expand: Panels<'a>,
    /// The bias of the last convolution.
    pub expand_bias: &'a [f32],
}

/// Adds the unit's output to `rows` rows of `values` from `first`, each row separately; then GELU if `activate`.
///
/// # Panics
///
/// If the extents of the values, the rows and the unit's parameters do not fit together.
pub fn unit(values: &mut [f32], x: Extent, unit: &Unit<'_>, [first, rows]: [usize; 2], activate: bool) {
    let hidden = unit.depthwise_bias.len();
    assert!(values.len() == x.len() && first + rows <= x.rows);
    assert!(unit.norm1.iter().all(|n| n.len() == x.channels) && unit.norm2.iter().all(|n| n.len() == hidden));
    assert!(unit.compress.rows() == 2 * hidden && unit.compress_bias.len() == 2 * hidden);
    assert!(unit.expand.rows() == x.channels && unit.expand_bias.len() == x.channels);
    assert_eq!(unit.depthwise.len(), TAPS * hidden);
    let values = Shared::new(values);
    pieces([x.items, rows, 1], 1, |piece| dispatch(Row { values: &values, x, unit, first, activate, piece }));
}

struct Row<'a> {
    values: &'a Shared<'a>,
    x: Extent,
    unit: &'a Unit<'a>,
    first: usize,
    activate: bool,
    piece: Piece,
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, unit, first, activate, piece } = self;
        let (frames, hidden) = (x.frames, unit.depthwise_bias.len());
        // SAFETY: rows of different pieces do not overlap, and a piece uses its rows one at a time.
        let own = |channel| unsafe { values.part(x.row(piece.item, channel, first + piece.row), frames) };
        let stride = row_stride::<S>(frames, TAPS - 1);
        let mut scratch = Scratch::take();
        let rows = [x.channels, unit.compress.padded_rows(), 1, unit.expand.padded_rows()];
        let [input, wide, gated, sums] = scratch.slices(rows.map(|rows| rows * stride));

        let norm = rows_norm((0..x.channels).map(|channel| row_moments(simd, own(channel), 0.0)), x.channels * frames);
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            let [scale, shift] = affine(simd, norm, unit.norm1, channel);
            each!(simd: S, edged(input, frames) => _, own(channel) => v; simd.mul_add_e_f32s(v, scale, shift));
        }
        let offsets: Vec<usize> = (0..TAPS * x.channels).map(|term| term / TAPS * stride + term % TAPS).collect();
        product(simd, unit.compress, Terms { values: input, offsets: &offsets }, frames, wide, stride, false);
        let (middle, gates) = wide.split_at_mut(hidden * stride);
        for (channel, (middle, gate)) in middle.chunks_exact_mut(stride).zip(gates.chunks(stride)).enumerate() {
            let [bias, gate_bias] = [channel, hidden + channel].map(|i| simd.splat_f32s(unit.compress_bias[i]));
            each!(simd: S, edged(gated, frames) => _, &middle[..frames] => signal, &gate[..frames] => gate; {
                let open = sigmoid(simd, simd.add_f32s(gate, gate_bias));
                simd.mul_f32s(simd.add_f32s(signal, bias), open)
            });
            let taps: [S::f32s; TAPS] =
                std::array::from_fn(|tap| simd.splat_f32s(unit.depthwise[TAPS * channel + tap]));
            let bias = simd.splat_f32s(unit.depthwise_bias[channel]);
            let at = |tap: usize| &gated[tap..][..frames];
            each!(simd: S, &mut middle[..frames] => _, at(0) => before, at(1) => here, at(2) => after; {
                let sum = simd.mul_add_e_f32s(before, taps[0], bias);
                simd.mul_add_e_f32s(after, taps[2], simd.mul_add_e_f32s(here, taps[1], sum))
            });
        }
        let rows = middle.chunks_exact(stride).map(|row| row_moments(simd, &row[..frames], 0.0));
        let norm = rows_norm(rows, hidden * frames);
        for (channel, middle) in middle.chunks_exact_mut(stride).enumerate() {
            let [scale, shift] = affine(simd, norm, unit.norm2, channel);
            each!(simd: S, &mut middle[..frames] => v; {
                let v = simd.mul_add_e_f32s(v, scale, shift);
                simd.mul_f32s(v, sigmoid(simd, v))
            });
        }
        let offsets: Vec<usize> = (0..hidden).map(|term| term * stride).collect();
        product(simd, unit.expand, Terms { values: middle, offsets: &offsets }, frames, sums, stride, false);
        for (channel, sums) in sums.chunks_exact(stride).take(x.channels).enumerate() {
            let bias = simd.splat_f32s(unit.expand_bias[channel]);
            let sums = &sums[..frames];
            if activate {
                each!(simd: S, own(channel) => x, sums => v; gelu(simd, simd.add_f32s(x, simd.add_f32s(v, bias))));
            } else {
                each!(simd: S, own(channel) => x, sums => v; simd.add_f32s(x, simd.add_f32s(v, bias)));
            }
        }
    }
}

/// Returns the frames of a scratch row between its two edges, which become zero.
fn edged(row: &mut [f32], frames: usize) -> &mut [f32] {
    row[0] = 0.0;
    row[frames + 1] = 0.0;
    &mut row[1..=frames]
}

/// Returns the mean and the divisor of a norm over several rows with this many values.
#[inline(always)]
fn rows_norm(rows: impl Iterator<Item = Moments>, count: usize) -> [f32; 2] {
    rows.fold(Moments::default(), Moments::and).over(count)
}

/// Returns the scale and the shift that normalise one channel.
#[inline(always)]
fn affine<S: Simd>(simd: S, [mean, deviation]: [f32; 2], [weight, shift]: [&[f32]; 2], channel: usize) -> [S::f32s; 2] {
    let scale = weight[channel] / deviation;
    [simd.splat_f32s(scale), simd.splat_f32s(shift[channel] - mean * scale)]
}
