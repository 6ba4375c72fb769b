//! Matrix products on prepared weights, at the speed of the machine's multipliers.
//!
//! Every layer of the network is one: weights `[rows, terms]` times an input whose terms are rows of values in memory,
//! as long as the output's are. A convolution's terms are its taps: the same values, begun a little later. So nothing
//! is unfolded; a list of offsets says where each term begins.

use pulp::Simd;

use super::simd::dispatch;

/// Rows of a tile, which are the rows of a panel of weights, and vectors side by side in it: as many as the registers
/// hold beside the input's vectors and two weights. The compiler reads one weight ahead; were there no register for it,
/// a sum would pass through memory with each term, at two thirds of the speed.
const WIDE_TILE: [usize; 2] = [8, 3];
const NARROW_TILE: [usize; 2] = [6, 2];

/// The tile for this machine's registers.
const fn tile_shape<S: Simd>() -> [usize; 2] {
    if S::REGISTER_COUNT >= 32 { WIDE_TILE } else { NARROW_TILE }
}

/// Columns of a tile.
pub(crate) const fn tile_columns<S: Simd>() -> usize {
    tile_shape::<S>()[1] * S::F32_LANES
}

/// Terms taken at once, so that a tile's part of the input stays in the nearest cache.
const fn block_terms<S: Simd>() -> usize {
    let values = if S::REGISTER_COUNT >= 32 { 6144 } else { 4096 };
    let fit = values / tile_columns::<S>();
    if fit > 512 { 512 } else { fit }
}

/// Rows of weights taken at once, so that they stay in the second cache beside the input: whole panels of either tile.
const BLOCK_ROWS: usize = 240;

/// `columns` rounded up to whole tiles: how long a row of the output must be in memory.
pub(crate) const fn padded_columns<S: Simd>(columns: usize) -> usize {
    columns.next_multiple_of(tile_columns::<S>())
}

/// How far rows of scratch lie apart that hold `columns` and `extra` values more: never a power of two, so that rows do
/// not push each other out of the caches.
pub(crate) const fn row_stride<S: Simd>(columns: usize, extra: usize) -> usize {
    let lines = (padded_columns::<S>(columns) + extra).div_ceil(16);
    16 * (lines | 1)
}

/// A matrix of weights in panels: for each panel of rows its columns one after another, the last panel filled up with
/// zeros.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    values: &'a [f32],
    rows: usize,
    terms: usize,
}

impl<'a> Panels<'a> {
    /// # Panics
    ///
    /// Where `values` is not what [`pack`] makes of such a matrix.
    pub(crate) fn new(values: &'a [f32], rows: usize, terms: usize) -> Self {
        assert_eq!(values.len(), padded_rows(rows) * terms, "weights of {rows} rows and {terms} terms, packed");
        Self { values, rows, terms }
    }

    /// Rows, without the filling.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the product, with the filling.
    pub(crate) fn padded_rows(&self) -> usize {
        padded_rows(self.rows)
    }
}

/// `rows` rounded up to whole panels.
pub(crate) fn padded_rows(rows: usize) -> usize {
    struct Rows(usize);
    impl pulp::WithSimd for Rows {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            self.0.next_multiple_of(tile_shape::<S>()[0])
        }
    }
    dispatch(Rows(rows))
}

/// Puts a matrix into panels; `at(row, term)` reads it.
pub(crate) fn pack(rows: usize, terms: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut out = vec![0.0; padded_rows(rows) * terms];
    pack_into(rows, terms, at, &mut out);
    out
}

/// As [`pack`], into memory that is there.
pub(crate) fn pack_into(rows: usize, terms: usize, at: impl Fn(usize, usize) -> f32, out: &mut [f32]) {
    let panel = padded_rows(1);
    for (index, panel_values) in out.chunks_exact_mut((panel * terms).max(1)).enumerate() {
        for (term, column) in panel_values.chunks_exact_mut(panel).enumerate() {
            for (i, value) in column.iter_mut().enumerate() {
                let row = index * panel + i;
                *value = if row < rows { at(row, term) } else { 0.0 };
            }
        }
    }
}

/// The input of a product: where in `values` each term begins.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// What the terms lie in.
    pub(crate) values: &'a [f32],
    /// Where each begins.
    pub(crate) offsets: &'a [usize],
}

/// Multiplies `weights` by `input` into `out`, whose rows lie `out_stride` apart: `columns` columns, and what fills them
/// up to [`padded_columns`] with it. Reads as many values of each term. With `add`, adds to what is there.
///
/// # Panics
///
/// Where the terms are not as many as the weights', or either slice is too short.
#[inline(always)]
pub(crate) fn product<S: Simd>(
    simd: S,
    weights: Panels<'_>,
    input: Terms<'_>,
    columns: usize,
    out: &mut [f32],
    out_stride: usize,
    add: bool,
) {
    let columns = padded_columns::<S>(columns);
    let rows = weights.rows.next_multiple_of(tile_shape::<S>()[0]);
    assert_eq!(weights.values.len(), rows * weights.terms);
    assert_eq!(input.offsets.len(), weights.terms);
    let furthest = input.offsets.iter().max().copied().unwrap_or_default();
    assert!(furthest + columns <= input.values.len(), "terms end within their memory");
    assert!(columns <= out_stride && (rows - 1) * out_stride + columns <= out.len(), "the output has room");
    if S::REGISTER_COUNT >= 32 {
        // SAFETY: what was asserted above, and the tile is this one's.
        unsafe { blocks::<S, { WIDE_TILE[0] }, { WIDE_TILE[1] }>(simd, weights, input, columns, out, out_stride, add) }
    } else {
        // SAFETY: as above.
        unsafe {
            blocks::<S, { NARROW_TILE[0] }, { NARROW_TILE[1] }>(simd, weights, input, columns, out, out_stride, add)
        }
    }
}

/// # Safety
///
/// `columns` is in whole tiles, and so many values lie from each offset on and in each row of the output, as many rows
/// as the panels of `ROWS` have.
#[inline(always)]
unsafe fn blocks<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    weights: Panels<'_>,
    input: Terms<'_>,
    columns: usize,
    out: &mut [f32],
    out_stride: usize,
    add: bool,
) {
    let terms = weights.terms;
    let rows = weights.rows.next_multiple_of(ROWS);
    for first in (0..terms).step_by(block_terms::<S>()) {
        let offsets = &input.offsets[first..(first + block_terms::<S>()).min(terms)];
        for row_block in (0..rows).step_by(BLOCK_ROWS) {
            for column in (0..columns).step_by(tile_columns::<S>()) {
                for row in (row_block..(row_block + BLOCK_ROWS).min(rows)).step_by(ROWS) {
                    // SAFETY: the caller's promise; panel `row / ROWS` begins at `row * terms`, term `first` of it
                    // `first * ROWS` later.
                    unsafe {
                        let panel = weights.values.as_ptr().add(row * terms + first * ROWS);
                        let values = input.values.as_ptr().add(column);
                        let tile_out = out.as_mut_ptr().add(row * out_stride + column);
                        tile::<S, ROWS, VECTORS>(simd, panel, values, offsets, tile_out, out_stride, add || first > 0);
                    }
                }
            }
        }
    }
}

/// One tile of the output, held in registers over all the terms.
///
/// # Safety
///
/// `panel` has `ROWS` values for each of the offsets; from `values`, each offset leads to [`tile_columns`] values; `out`
/// has `ROWS` rows of as many, `out_stride` apart.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    mut panel: *const f32,
    values: *const f32,
    offsets: &[usize],
    out: *mut f32,
    out_stride: usize,
    add: bool,
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for &offset in offsets {
        // SAFETY: the caller's promise; vectors are read and written unaligned.
        unsafe {
            let term: *const S::f32s = values.add(offset).cast();
            let mut vectors = [simd.splat_f32s(0.0); VECTORS];
            for (j, vector) in vectors.iter_mut().enumerate() {
                *vector = term.add(j).read_unaligned();
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let weight = simd.splat_f32s(*panel.add(i));
                for (sum, &value) in sums.iter_mut().zip(&vectors) {
                    *sum = simd.mul_add_e_f32s(weight, value, *sum);
                }
            }
            panel = panel.add(ROWS);
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, &sum) in sums.iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let place = out.add(i * out_stride).cast::<S::f32s>().add(j);
                place.write_unaligned(if add { simd.add_f32s(place.read_unaligned(), sum) } else { sum });
            }
        }
    }
}
