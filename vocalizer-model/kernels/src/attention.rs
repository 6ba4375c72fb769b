//! Attention without the full score matrix: each block of queries iterates over blocks of keys and rescales its sums
//! when a larger score appears.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, pack_into, padded_columns, padded_rows, product, row_stride};
use crate::grid::{Extent, Piece, Shared, pieces};
use crate::memory::Buffer;
use crate::scratch::Scratch;
use crate::simd::{at_least, dispatch, each, exp};

/// Keys per block: their scores for a tile of queries fit into the L1 cache.
const KEYS: usize = 128;
/// Minimum logarithm of a weight. Such a weight does not change a sum, and its products are not yet denormal; denormal
/// numbers are about a hundred times slower on most processors.
const LEAST: f32 = -60.0;
/// Queries per piece.
const QUERIES: usize = 96;

/// The queries, keys or values: a range of channels of a tensor.
#[derive(Clone, Copy)]
pub struct Projection<'a> {
    /// Values of the tensor.
    pub values: &'a [f32],
    /// Extent of the tensor.
    pub extent: Extent,
    /// First channel.
    pub first: usize,
}

impl<'a> Projection<'a> {
    fn row(self, item: usize, channel: usize) -> &'a [f32] {
        let x = self.extent;
        &self.values[x.row(item, self.first + channel, 0)..][..x.rows * x.frames]
    }

    fn positions(self) -> usize {
        self.extent.rows * self.extent.frames
    }
}

/// Computes multi-head attention; `out` is `[items, channels, queries]`.
pub fn attention(
    queries: Projection<'_>,
    keys: Projection<'_>,
    values: Projection<'_>,
    [heads, channels]: [usize; 2],
    out: &mut [f32],
) {
    let (items, width) = (queries.extent.items, channels / heads);
    let (positions, others) = (queries.positions(), keys.positions());
    assert!(channels % heads == 0 && out.len() == items * channels * positions);
    assert!(values.positions() == others && keys.extent.items == items && values.extent.items == items);

    // Keys and values are used by every query, so they are packed once per head, block by block: keys as rows with
    // channels as terms, values as rows of channels with keys as terms.
    let blocks: Vec<[usize; 2]> = (0..others).step_by(KEYS).map(|at| [at, KEYS.min(others - at)]).collect();
    let key_block = |count: usize| padded_rows(count) * width;
    let key_len: usize = blocks.iter().map(|[_, count]| key_block(*count)).sum();
    let value_len = padded_rows(width) * others;
    let mut packed = Buffer::of(items * heads * (key_len + value_len));
    let shared = Shared::new(&mut packed);
    pieces([items, heads, 1], 1, |Piece { item, row: head, .. }| {
        // SAFETY: each head has its own part.
        let part = unsafe { shared.part((item * heads + head) * (key_len + value_len), key_len + value_len) };
        let (mut for_keys, mut for_values) = part.split_at_mut(key_len);
        for &[at, count] in &blocks {
            let (block, rest) = for_keys.split_at_mut(key_block(count));
            pack_into(count, width, |key, channel| keys.row(item, head * width + channel)[at + key], block);
            for_keys = rest;
            let (block, rest) = for_values.split_at_mut(padded_rows(width) * count);
            pack_into(width, count, |channel, key| values.row(item, head * width + channel)[at + key], block);
            for_values = rest;
        }
    });
    let y = Extent { items, channels, rows: 1, frames: positions };
    let out = Shared::new(out);
    pieces([items, heads, positions], QUERIES, |piece| {
        let part = &packed[(piece.item * heads + piece.row) * (key_len + value_len)..][..key_len + value_len];
        dispatch(Attend { queries, packed: part.split_at(key_len), blocks: &blocks, width, y, out: &out, piece });
    });
}

struct Attend<'a> {
    queries: Projection<'a>,
    packed: (&'a [f32], &'a [f32]),
    blocks: &'a [[usize; 2]],
    width: usize,
    y: Extent,
    out: &'a Shared<'a>,
    /// Its row is the head.
    piece: Piece,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { queries, packed: (mut keys, mut values), blocks, width, y, out, piece } = self;
        let Piece { item, row: head, start, frames } = piece;
        let stride = row_stride::<S>(frames, 0);
        let offsets: Vec<usize> = (0..width.max(KEYS)).map(|term| term * stride).collect();
        let scores = padded_rows(KEYS) * stride;
        let lengths = [width * stride, scores, padded_rows(width) * stride, stride, stride, stride];
        let mut scratch = Scratch::take();
        let [query, scores, sums, maxima, totals, factors] = scratch.slices(lengths);
        #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
        let scale = simd.splat_f32s(1.0 / (width as f32).sqrt());
        for (channel, query) in query.chunks_exact_mut(stride).enumerate() {
            let row = &queries.row(item, head * width + channel)[start..][..frames];
            each!(simd: S, &mut query[..frames] => _, row => v; simd.mul_f32s(v, scale));
            query[frames..].fill(0.0);
        }
        maxima.fill(f32::NEG_INFINITY);
        totals.fill(0.0);
        sums.fill(0.0);
        let columns = padded_columns::<S>(frames);
        let [maxima, totals, factors] = [maxima, totals, factors].map(|row| &mut row[..columns]);
        for &[_, count] in blocks {
            let (block, rest) = keys.split_at(padded_rows(count) * width);
            keys = rest;
            let input = Terms { values: query, offsets: &offsets[..width] };
            product(simd, Panels::new(block, count, width), input, frames, scores, stride, false);
            softmax(simd, scores, stride, count, [maxima, totals, factors]);
            for sums in sums.chunks_exact_mut(stride) {
                each!(simd: S, &mut sums[..columns] => sum, factors => factor; simd.mul_f32s(sum, factor));
            }
            let (block, rest) = values.split_at(padded_rows(width) * count);
            values = rest;
            let input = Terms { values: scores, offsets: &offsets[..count] };
            product(simd, Panels::new(block, width, count), input, frames, sums, stride, true);
        }
        for (channel, sums) in sums.chunks_exact(stride).take(width).enumerate() {
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(y.row(item, head * width + channel, 0) + start, frames) };
            each!(simd: S, out => _, &sums[..frames] => sum, &totals[..frames] => total; simd.div_f32s(sum, total));
        }
    }
}

/// Turns a block of scores, one row per key, into weights relative to the largest score so far, and computes the
/// factors by which the earlier sums must be scaled.
#[inline(always)]
fn softmax<S: Simd>(
    simd: S,
    scores: &mut [f32],
    stride: usize,
    count: usize,
    [maxima, totals, factors]: [&mut [f32]; 3],
) {
    factors.copy_from_slice(maxima);
    let columns = maxima.len();
    for scores in scores.chunks_exact(stride).take(count) {
        each!(simd: S, maxima => max, &scores[..columns] => score; at_least(simd, max, score));
    }
    let least = simd.splat_f32s(LEAST);
    each!(simd: S, factors => before, maxima => max; exp(simd, at_least(simd, least, simd.sub_f32s(before, max))));
    each!(simd: S, totals => total, factors => factor; simd.mul_f32s(total, factor));
    for scores in scores.chunks_exact_mut(stride).take(count) {
        let scores = &mut scores[..columns];
        each!(simd: S, scores => score, maxima => max; {
            exp(simd, at_least(simd, least, simd.sub_f32s(score, max)))
        });
        each!(simd: S, totals => total, scores => weight; simd.add_f32s(total, weight));
    }
}
