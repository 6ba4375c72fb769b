//! Normalisation of each position's channels to length one, alone and before a feed-forward part.

use pulp::{Simd, WithSimd};

use crate::gemm::{Terms, padded_rows, product, row_stride};
use crate::grid::{Extent, Piece, Shared, chunk, pieces};
use crate::scratch::Scratch;
use crate::simd::{at_least, dispatch, each, gelu};
use crate::transformer::Linear;

/// The least length to divide by, as in the reference.
pub const LEAST_LENGTH: f32 = 1e-12;

/// Maximum positions per piece.
const POSITIONS: usize = 96;

/// Hidden channels at a time, so that their values stay in the L2 cache: whole panels of weights.
const HIDDEN: usize = 240;
/// Hidden channels at a time that are also whole groups of integers.
const GROUPED_HIDDEN: usize = 384;

/// Computes the factors that scale each of the first `columns` to length one; its channels are rows `stride` apart.
#[inline(always)]
pub(crate) fn unit_factors<S: Simd>(simd: S, values: &[f32], stride: usize, columns: usize, factors: &mut [f32]) {
    let factors = &mut factors[..columns];
    factors.fill(0.0);
    for row in values.chunks(stride) {
        each!(simd: S, factors => sum, &row[..columns] => v; simd.mul_add_e_f32s(v, v, sum));
    }
    lengths_to_factors(simd, factors);
}

/// Replaces sums of squares by the inverse of their square roots.
#[inline(always)]
fn lengths_to_factors<S: Simd>(simd: S, sums: &mut [f32]) {
    let (one, least) = (simd.splat_f32s(1.0), simd.splat_f32s(LEAST_LENGTH));
    each!(simd: S, sums => sum; simd.div_f32s(one, at_least(simd, least, simd.sqrt_f32s(sum))));
}

/// Scales each of the first `columns` to length one, in place. `factors` is scratch.
#[inline(always)]
pub(crate) fn normalise<S: Simd>(simd: S, values: &mut [f32], stride: usize, columns: usize, factors: &mut [f32]) {
    unit_factors(simd, values, stride, columns, factors);
    let factors = &factors[..columns];
    for row in values.chunks_mut(stride) {
        each!(simd: S, &mut row[..columns] => v, factors => factor; simd.mul_f32s(v, factor));
    }
}

/// Normalises each position to length one, times a scale per channel, in place.
pub fn rms_norm((values, x): (&mut [f32], Extent), scale: &[f32]) {
    assert!(values.len() == x.len() && scale.len() == x.channels);
    let out = Shared::new(values);
    each_piece(x, |piece| dispatch(RmsNorm { x, scale, out: &out, piece }));
}

/// Processes the positions of an extent (rows and frames together) in pieces.
fn each_piece(x: Extent, work: impl Fn(Piece) + Sync) {
    let positions = x.rows * x.frames;
    pieces([x.items, 1, positions], chunk([x.items, positions], POSITIONS), work);
}

struct RmsNorm<'a> {
    x: Extent,
    scale: &'a [f32],
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, scale, out, piece } = self;
        let mut scratch = Scratch::take();
        let [factors] = scratch.slices([piece.frames]);
        // SAFETY: pieces do not overlap, and a piece uses its rows one at a time.
        let own = |channel| unsafe { out.part(x.row(piece.item, channel, 0) + piece.start, piece.frames) };
        factors.fill(0.0);
        for channel in 0..x.channels {
            each!(simd: S, factors => sum, own(channel) => v; simd.mul_add_e_f32s(v, v, sum));
        }
        lengths_to_factors(simd, factors);
        for (channel, &scale) in scale.iter().enumerate() {
            let scale = simd.splat_f32s(scale);
            each!(simd: S, own(channel) => v, factors => factor; simd.mul_f32s(simd.mul_f32s(v, factor), scale));
        }
    }
}

/// `values += second(gelu(first(values / |values|)))`, each position separately.
pub fn feed_forward((values, x): (&mut [f32], Extent), first: Linear<'_>, second: Linear<'_>) {
    assert_eq!(values.len(), x.len());
    assert_eq!(first.bias.len(), first.weights.rows());
    assert_eq!([second.weights.rows(), second.bias.len()], [x.channels; 2]);
    let out = Shared::new(values);
    each_piece(x, |piece| dispatch(FeedForward { x, first, second, out: &out, piece }));
}

struct FeedForward<'a> {
    x: Extent,
    first: Linear<'a>,
    second: Linear<'a>,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for FeedForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, first, second, out, piece } = self;
        let frames = piece.frames;
        let stride = row_stride::<S>(frames, 0);
        let block = if HIDDEN.is_multiple_of(second.weights.group_terms()) { HIDDEN } else { GROUPED_HIDDEN };
        let offsets: Vec<usize> = (0..x.channels.max(block)).map(|term| term * stride).collect();
        let lengths = [x.channels, padded_rows(block), second.weights.padded_rows(), 1].map(|rows| rows * stride);
        let mut scratch = Scratch::take();
        let [input, hidden, sums, factors] = scratch.slices(lengths);
        // SAFETY: pieces do not overlap, and a piece uses its rows one at a time.
        let own = |channel| unsafe { out.part(x.row(piece.item, channel, 0) + piece.start, frames) };
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            input[..frames].copy_from_slice(own(channel));
            input[frames..].fill(0.0);
        }
        normalise(simd, input, stride, frames, factors);
        for start in (0..first.weights.rows()).step_by(block) {
            let count = block.min(first.weights.rows() - start);
            let terms = Terms { values: input, offsets: &offsets[..x.channels] };
            product(simd, first.weights.some_rows(start, count), terms, frames, hidden, stride, false);
            for (hidden, &bias) in hidden.chunks_exact_mut(stride).zip(&first.bias[start..start + count]) {
                let bias = simd.splat_f32s(bias);
                each!(simd: S, &mut hidden[..frames] => v; gelu(simd, simd.add_f32s(v, bias)));
            }
            let terms = Terms { values: hidden, offsets: &offsets[..count] };
            product(simd, second.weights.some_terms(start, count), terms, frames, sums, stride, start > 0);
        }
        for (channel, (sums, &bias)) in sums.chunks_exact(stride).zip(second.bias).enumerate() {
            let bias = simd.splat_f32s(bias);
            each!(simd: S, own(channel) => x, &sums[..frames] => v; simd.add_f32s(x, simd.add_f32s(v, bias)));
        }
    }
}
