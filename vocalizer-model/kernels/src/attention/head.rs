//! Attention of one head: its keys and values are packed as weights, block by block, and some queries at a time iterate
//! over the blocks and rescale their sums when a larger score appears. So there is no matrix of all scores.

use pulp::Simd;

use crate::gemm::{
    NARROW_TILE, Panels, Precision, Terms, WIDE_TILE, convert_panel, padded_rows, panel_rows, product, row_stride,
};
use crate::scratch::Scratch;
use crate::simd::{at_least, each, exp2};

/// Queries per pass.
pub(crate) const QUERIES: usize = 96;
/// Keys per block: whole panels of any width, and no more than a group of terms.
const KEYS: usize = 120;
/// Minimum binary logarithm of a weight. Such a weight does not change a sum, and its products are not yet denormal; denormal
/// numbers are about a hundred times slower on most processors.
pub(crate) const LEAST: f32 = -86.0;

/// A matrix in rows `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
}

/// Some queries of a head, `[width, count]`, times 1 / sqrt(width) and the binary logarithm of e.
#[derive(Clone, Copy)]
pub(crate) struct Queries<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) count: usize,
}

/// The keys and values of a head.
#[derive(Clone, Copy)]
pub(crate) struct PackedHead {
    length: usize,
    width: usize,
    precision: Precision,
}

impl PackedHead {
    /// A head with keys and values at `length` positions, next to weights of this precision. Scores of 8 bits would lose too
    /// much, and without instructions for fewer bits nothing is gained.
    pub(crate) fn new(length: usize, width: usize, precision: Precision) -> Self {
        let precision = if precision == Precision::Int8 { Precision::Int16 } else { precision };
        let precision = if precision.instructions().is_some() { precision } else { Precision::F32 };
        Self { length, width, precision }
    }

    /// Returns the first key and the number of keys of each block.
    fn blocks(self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.length).step_by(KEYS).map(move |first| [first, KEYS.min(self.length - first)])
    }

    /// Returns the words of a block of `count` packed keys, and of their values.
    fn block_len(self, count: usize) -> [usize; 2] {
        [self.precision.packed_len(count, self.width), self.precision.packed_len(self.width, count)]
    }

    /// Returns the words of all packed keys and values.
    pub(crate) fn packed_len(self) -> usize {
        self.blocks().flat_map(|[_, count]| self.block_len(count)).sum()
    }

    /// Packs keys and values, `[width, length]`: keys as rows with channels as terms, values as rows of channels with keys as
    /// terms.
    #[inline(always)]
    pub(crate) fn pack<S: Simd>(self, keys: Rows<'_>, values: Rows<'_>, packed: &mut [f32]) {
        if panel_rows::<S>() == WIDE_TILE[0] {
            self.pack_panels::<{ WIDE_TILE[0] }>(keys, values, packed);
        } else {
            self.pack_panels::<{ NARROW_TILE[0] }>(keys, values, packed);
        }
    }

    #[inline(always)]
    fn pack_panels<const ROWS: usize>(self, keys: Rows<'_>, values: Rows<'_>, mut packed: &mut [f32]) {
        let Self { width, precision, .. } = self;
        let mut scratch = Scratch::take_for_terms();
        let [panel] = scratch.slices([ROWS * width.max(KEYS)]);
        for [first, count] in self.blocks() {
            let [keys_len, values_len] = self.block_len(count);
            let (block, rest) = std::mem::take(&mut packed).split_at_mut(keys_len);
            for (index, to) in block.chunks_exact_mut(keys_len / count.div_ceil(ROWS)).enumerate() {
                let keys = Rows { values: &keys.values[first + index * ROWS..], ..keys };
                let from = &mut panel[..ROWS * width];
                key_panel::<ROWS>(keys, ROWS.min(count - index * ROWS), from);
                convert_panel::<ROWS>(precision.fit(count, width), from, to);
            }
            let (block, rest) = rest.split_at_mut(values_len);
            for (index, to) in block.chunks_exact_mut(values_len / width.div_ceil(ROWS)).enumerate() {
                // Rows of padding repeat the last row: their sums are not used.
                let rows = std::array::from_fn(|row| {
                    &values.values[(index * ROWS + row).min(width - 1) * values.stride + first..][..count]
                });
                let from = &mut panel[..ROWS * count];
                value_panel::<ROWS>(rows, from);
                convert_panel::<ROWS>(precision.fit(width, count), from, to);
            }
            packed = rest;
        }
    }

    /// Returns the lengths of the memory that [`Self::attend`] needs.
    #[inline(always)]
    pub(crate) fn scratch<S: Simd>(self) -> [usize; 5] {
        let stride = row_stride::<S>(QUERIES, 0);
        [padded_rows(KEYS) * stride, padded_rows(self.width) * stride, stride, stride, stride]
    }

    /// Adds up the values, weighted by softmax, into `sums`, whose rows have the stride of [`QUERIES`] columns. `totals` gets
    /// what they must be divided by. Both are as many columns as the queries, and undefined beyond.
    #[inline(always)]
    pub(crate) fn attend<S: Simd>(
        self,
        simd: S,
        mut packed: &[f32],
        queries: Queries<'_>,
        [scores, sums, maxima, totals, factors]: [&mut [f32]; 5],
    ) {
        let Queries { rows: Rows { values, stride: pitch }, count } = queries;
        let stride = row_stride::<S>(QUERIES, 0);
        let query_offsets: Vec<usize> = (0..self.width).map(|term| term * pitch).collect();
        let offsets: Vec<usize> = (0..KEYS).map(|term| term * stride).collect();
        let queries = Terms { values, offsets: &query_offsets };
        let columns = count.next_multiple_of(S::F32_LANES);
        let [maxima, totals, factors] = [maxima, totals, factors].map(|row| &mut row[..columns]);
        maxima.fill(f32::NEG_INFINITY);
        totals.fill(0.0);
        for [first, keys] in self.blocks() {
            let [keys_len, values_len] = self.block_len(keys);
            let (block, rest) = packed.split_at(keys_len);
            product(simd, Panels::new(block, keys, self.width), queries, count, scores, stride, false);
            let scores = &mut scores[..keys * stride];
            let is_larger = softmax(simd, scores, stride, [&mut *maxima, &mut *totals, &mut *factors]);
            if first > 0 && is_larger {
                for sums in sums.chunks_exact_mut(stride) {
                    each!(simd: S, &mut sums[..columns] => sum, factors => factor; simd.mul_f32s(sum, factor));
                }
            }
            let (block, rest) = rest.split_at(values_len);
            let weights = Terms { values: scores, offsets: &offsets[..keys] };
            product(simd, Panels::new(block, self.width, keys), weights, count, sums, stride, first > 0);
            packed = rest;
        }
    }
}

/// Writes a panel of `count` keys.
#[inline(always)]
fn key_panel<const ROWS: usize>(keys: Rows<'_>, count: usize, panel: &mut [f32]) {
    let panel = panel.as_chunks_mut::<ROWS>().0;
    for (column, row) in panel.iter_mut().zip(keys.values.chunks(keys.stride)) {
        let row = &row[..count];
        if let Ok(whole) = row.try_into() {
            *column = whole;
        } else {
            column[..count].copy_from_slice(row);
            column[count..].fill(0.0);
        }
    }
}

/// Writes a panel of rows of values.
#[inline(always)]
fn value_panel<const ROWS: usize>(rows: [&[f32]; ROWS], panel: &mut [f32]) {
    for (at, column) in panel.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        for (value, row) in column.iter_mut().zip(rows) {
            *value = row[at];
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
