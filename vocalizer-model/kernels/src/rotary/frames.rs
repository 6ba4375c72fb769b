//! Attention of one head along a sequence of frames: positions are the columns of products.

use pulp::Simd;

use super::{Head, LEAST};
use crate::gemm::{NARROW_TILE, Panels, Terms, WIDE_TILE, padded_rows, panel_rows, product, row_stride};
use crate::memory::Buffer;
use crate::scratch::Scratch;
use crate::simd::{at_least, each, exp2};

/// Queries per tile.
const QUERIES: usize = 96;
/// Keys per block: whole panels of any width.
const KEYS: usize = 120;

/// A head's keys and values, packed as weights.
pub(super) struct Packed {
    /// Keys as rows, channels as terms.
    keys: Buffer,
    /// Channels as rows, keys as terms.
    values: Buffer,
}

impl Packed {
    pub(super) fn of(length: usize, width: usize) -> Self {
        Self { keys: Buffer::of(padded_rows(length) * width), values: Buffer::of(padded_rows(width) * length) }
    }

    #[inline(always)]
    fn pack<S: Simd>(&mut self, head: Head<'_>) {
        let shape = [head.width, head.gate.len(), head.stride];
        if panel_rows::<S>() == WIDE_TILE[0] {
            pack_keys::<{ WIDE_TILE[0] }>(head.keys, shape, &mut self.keys);
            pack_values::<{ WIDE_TILE[0] }>(head.values, shape, &mut self.values);
        } else {
            pack_keys::<{ NARROW_TILE[0] }>(head.keys, shape, &mut self.keys);
            pack_values::<{ NARROW_TILE[0] }>(head.values, shape, &mut self.values);
        }
    }

    /// Attends from all positions to all positions. `out` gets the gated outputs, `[width, columns]`.
    #[inline(always)]
    pub(super) fn attend<S: Simd>(&mut self, simd: S, head: Head<'_>, out: &mut [f32]) {
        self.pack::<S>(head);
        let Head { width, gate, .. } = head;
        let length = gate.len();
        let (keys, values) = (Panels::new(&self.keys, length, width), Panels::new(&self.values, width, length));
        let stride = row_stride::<S>(QUERIES, 0);
        let query_offsets: Vec<usize> = (0..width).map(|term| term * head.stride).collect();
        let offsets: Vec<usize> = (0..KEYS).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [scores, sums, maxima, totals, factors] =
            scratch.slices([padded_rows(KEYS) * stride, padded_rows(width) * stride, stride, stride, stride]);
        for start in (0..length).step_by(QUERIES) {
            let count = QUERIES.min(length - start);
            let queries = Terms { values: &head.queries[start..], offsets: &query_offsets };
            let columns = count.next_multiple_of(S::F32_LANES);
            let [maxima, totals, factors] = [&mut *maxima, &mut *totals, &mut *factors].map(|row| &mut row[..columns]);
            maxima.fill(f32::NEG_INFINITY);
            totals.fill(0.0);
            for first in (0..length).step_by(KEYS) {
                let keys_here = KEYS.min(length - first);
                product(simd, keys.some_rows(first, keys_here), queries, count, scores, stride, false);
                let scores = &mut scores[..keys_here * stride];
                let is_larger = softmax(simd, scores, stride, [&mut *maxima, &mut *totals, &mut *factors]);
                if first > 0 && is_larger {
                    for sums in sums.chunks_exact_mut(stride) {
                        each!(simd: S, &mut sums[..columns] => sum, factors => factor; simd.mul_f32s(sum, factor));
                    }
                }
                let weights = Terms { values: scores, offsets: &offsets[..keys_here] };
                product(simd, values.some_terms(first, keys_here), weights, count, sums, stride, first > 0);
            }
            let (factors, gate) = (&mut factors[..count], &gate[start..start + count]);
            each!(simd: S, &mut *factors => _, gate => gate, &totals[..count] => total; simd.div_f32s(gate, total));
            for (sums, out) in sums.chunks_exact(stride).zip(out.chunks_exact_mut(head.stride)) {
                let out = &mut out[start..start + count];
                each!(simd: S, out => _, &sums[..count] => sum, factors => factor; simd.mul_f32s(sum, factor));
            }
        }
    }
}

/// Packs keys `[width, length]`, rows `stride` apart.
#[inline(always)]
fn pack_keys<const ROWS: usize>(keys: &[f32], [width, length, stride]: [usize; 3], packed: &mut [f32]) {
    for (panel, at) in packed.chunks_exact_mut(ROWS * width).zip((0..length).step_by(ROWS)) {
        for (column, row) in panel.as_chunks_mut::<ROWS>().0.iter_mut().zip(keys.chunks_exact(stride)) {
            let row = &row[at..length.min(at + ROWS)];
            if let Ok(whole) = row.try_into() {
                *column = whole;
            } else {
                column[..row.len()].copy_from_slice(row);
                column[row.len()..].fill(0.0);
            }
        }
    }
}

/// Packs values `[width, length]`, rows `stride` apart.
#[inline(always)]
fn pack_values<const ROWS: usize>(values: &[f32], [width, length, stride]: [usize; 3], packed: &mut [f32]) {
    for (index, packed) in packed.chunks_exact_mut(ROWS * length).enumerate() {
        // Rows of padding repeat the last row: their sums are not used.
        let rows: [&[f32]; ROWS] =
            std::array::from_fn(|row| &values[(index * ROWS + row).min(width - 1) * stride..][..length]);
        for (at, column) in packed.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            for (value, row) in column.iter_mut().zip(rows) {
                *value = row[at];
            }
        }
    }
}

/// Turns a block of scores (binary logarithms), one row per key, into weights relative to the largest score so far.
/// Computes the factors by which the earlier sums must be scaled, and returns whether one differs from 1.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], stride: usize, [maxima, totals, factors]: [&mut [f32]; 3]) -> bool {
    factors.copy_from_slice(maxima);
    let columns = maxima.len();
    for scores in scores.chunks_exact(stride) {
        each!(simd: S, maxima => max, &scores[..columns] => score; at_least(simd, max, score));
    }
    let is_larger = maxima != factors;
    let least = simd.splat_f32s(LEAST);
    if is_larger {
        each!(simd: S, factors => before, maxima => max; exp2(simd, at_least(simd, least, simd.sub_f32s(before, max))));
        each!(simd: S, totals => total, factors => factor; simd.mul_f32s(total, factor));
    }
    let (maxima, totals) = (S::as_simd_f32s(maxima).0, S::as_mut_simd_f32s(totals).0);
    for scores in scores.chunks_exact_mut(stride) {
        let scores = S::as_mut_simd_f32s(&mut scores[..columns]).0;
        for i in 0..scores.len() {
            scores[i] = exp2(simd, at_least(simd, least, simd.sub_f32s(scores[i], maxima[i])));
            totals[i] = simd.add_f32s(totals[i], scores[i]);
        }
    }
    is_larger
}
