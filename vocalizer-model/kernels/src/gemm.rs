//! Matrix products with packed weights, near the machine's peak rate.
//!
//! Every layer of the network is a product: weights `[rows, terms]` times an input whose terms are rows of values in
//! memory, as long as the output's rows. The terms of a convolution are its taps: the same values at shifted offsets.
//! So the input is not unfolded; a list of offsets says where each term starts.
//!
//! Weights may be packed with fewer bits ([`Precision`]). The product then converts the input as it needs it.

#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "instructions of other processors are not used yet")
)]

mod bf16;
mod blocks;
#[allow(
    clippy::missing_transmute_annotations,
    reason = "all are between registers of one size, and the instructions name the types"
)]
mod dots;
mod expanded;
mod groups;
mod integers;
mod precision;
#[cfg(test)]
pub(crate) mod tests;

use pulp::Simd;

pub use self::precision::Precision;
use crate::simd::dispatch;

/// Rows of a tile (the rows of a panel of weights) and vectors per row: as many as fit into the registers next to the
/// input's vectors and two weights. The compiler loads one weight ahead; without a register for it, a sum would be
/// spilled with each term, at two thirds of the speed.
pub(crate) const WIDE_TILE: [usize; 2] = [8, 3];
pub(crate) const NARROW_TILE: [usize; 2] = [6, 2];

/// Returns the tile for this machine's registers.
const fn tile_shape<S: Simd>() -> [usize; 2] {
    if S::REGISTER_COUNT >= 32 { WIDE_TILE } else { NARROW_TILE }
}

/// Returns the rows of a panel of weights.
pub(crate) const fn panel_rows<S: Simd>() -> usize {
    tile_shape::<S>()[0]
}

/// Returns the columns of a tile.
pub(crate) const fn tile_columns<S: Simd>() -> usize {
    tile_shape::<S>()[1] * S::F32_LANES
}

/// Returns the terms per block, so that a tile's part of the input stays in the L1 cache.
const fn block_terms<S: Simd>() -> usize {
    let values = if S::REGISTER_COUNT >= 32 { 6144 } else { 4096 };
    let fit = values / tile_columns::<S>();
    if fit > 512 { 512 } else { fit }
}

/// Rows of weights per block, so that they stay in the L2 cache with the input: whole panels of either tile.
const BLOCK_ROWS: usize = 240;

/// Rounds `columns` up to whole tiles: the length of an output row in memory.
pub(crate) const fn padded_columns<S: Simd>(columns: usize) -> usize {
    columns.next_multiple_of(tile_columns::<S>())
}

/// Returns the stride of scratch rows that hold `columns` plus `extra` values. It is never a power of two, so rows do
/// not evict each other from the caches.
pub(crate) const fn row_stride<S: Simd>(columns: usize, extra: usize) -> usize {
    let lines = (padded_columns::<S>(columns) + extra).div_ceil(16);
    16 * (lines | 1)
}

/// A matrix of weights in panels of rows. A panel is stored column by column; the last one is padded with zeros.
#[derive(Clone, Copy)]
pub struct Panels<'a> {
    /// In another precision than f32, words of 32 bits.
    values: &'a [f32],
    precision: Precision,
    rows: usize,
    terms: usize,
    /// The first term, of [`Self::all_terms`] that a panel has.
    first_term: usize,
    all_terms: usize,
}

impl<'a> Panels<'a> {
    /// Panels over a packed matrix of `rows` times `terms` weights. The length of `values` tells their precision.
    ///
    /// # Panics
    ///
    /// If the length of `values` is not that of such a packed matrix, see [`pack`] and [`pack_as`].
    pub fn new(values: &'a [f32], rows: usize, terms: usize) -> Self {
        let fits = |precision: &Precision| values.len() == precision.packed_len(rows, terms);
        let precision = Precision::ALL.into_iter().find(fits);
        let precision = precision.unwrap_or_else(|| panic!("packed weights of {rows} rows and {terms} terms"));
        Self { values, precision, rows, terms, first_term: 0, all_terms: terms }
    }

    /// Returns `count` rows from `first`, which must be the start of a panel.
    #[inline(always)]
    pub(crate) fn some_rows(self, first: usize, count: usize) -> Self {
        let words = self.words();
        let range = first * words..(first + padded_rows(count)) * words;
        Self { values: &self.values[range], rows: count, ..self }
    }

    /// Returns `count` terms from `first`: whole groups, see [`Self::group_terms`], or all that follow.
    #[inline(always)]
    pub(crate) fn some_terms(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.terms && first.is_multiple_of(self.group_terms()));
        assert!(count.is_multiple_of(self.group_terms()) || self.first_term + first + count == self.all_terms);
        Self { terms: count, first_term: self.first_term + first, ..self }
    }

    /// Returns the precision of the weights.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the terms that are stored together.
    pub(crate) fn group_terms(&self) -> usize {
        self.precision.group_terms()
    }

    /// Returns the words per row.
    #[inline(always)]
    fn words(&self) -> usize {
        self.precision.words(self.all_terms)
    }

    /// Returns the rows, without padding.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the rows of the product, with padding.
    pub fn padded_rows(&self) -> usize {
        padded_rows(self.rows)
    }
}

/// Rounds `rows` up to whole panels.
pub fn padded_rows(rows: usize) -> usize {
    struct Rows(usize);
    impl pulp::WithSimd for Rows {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            self.0.next_multiple_of(tile_shape::<S>()[0])
        }
    }
    dispatch(Rows(rows))
}

/// Packs a matrix into panels; `at(row, term)` reads it.
pub fn pack(rows: usize, terms: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut out = vec![0.0; padded_rows(rows) * terms];
    pack_into(rows, terms, at, &mut out);
    out
}

/// Packs a matrix into panels of this precision; `at(row, term)` reads it. A matrix too small to gain from fewer bits
/// remains f32, see [`Precision::fit`].
pub fn pack_as(precision: Precision, rows: usize, terms: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let precision = precision.fit(rows, terms);
    if precision == Precision::F32 {
        return pack(rows, terms, at);
    }
    let panel = padded_rows(1);
    let mut plain = vec![0.0; panel * terms];
    let mut out = vec![0.0; padded_rows(rows) * precision.words(terms)];
    for (index, out) in out.chunks_exact_mut(panel * precision.words(terms)).enumerate() {
        let first = index * panel;
        pack_into(panel.min(rows - first), terms, |row, term| at(first + row, term), &mut plain);
        if panel == WIDE_TILE[0] {
            convert_panel::<{ WIDE_TILE[0] }>(precision, &plain, out);
        } else {
            convert_panel::<{ NARROW_TILE[0] }>(precision, &plain, out);
        }
    }
    out
}

/// Converts a panel of `ROWS` rows from f32, see [`pack`], to another precision.
#[inline(always)]
pub(crate) fn convert_panel<const ROWS: usize>(precision: Precision, panel: &[f32], out: &mut [f32]) {
    let (terms, words) = (panel.as_chunks::<ROWS>().0, out.as_chunks_mut::<ROWS>().0);
    match precision {
        Precision::F32 => words.copy_from_slice(terms),
        Precision::Bf16 => bf16::convert(terms, words),
        Precision::Int16 => groups::INT16.convert(terms, words),
        Precision::Int8 => groups::INT8.convert(terms, words),
    }
}

/// Packs like [`pack`], into existing memory.
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

/// The input of a product: values, and the offset of each term.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// The values that contain the terms.
    pub(crate) values: &'a [f32],
    /// Where each term starts.
    pub(crate) offsets: &'a [usize],
}

/// Multiplies `weights` by `input` into `out`, whose rows are `out_stride` apart. Computes `columns` columns, rounded up
/// to whole vectors, and reads as many values of each term. With `add`, adds to the values in `out`.
///
/// # Panics
///
/// If the numbers of terms differ, or a slice is too short.
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
    let columns = columns.next_multiple_of(S::F32_LANES);
    let rows = weights.rows.next_multiple_of(tile_shape::<S>()[0]);
    assert_eq!(weights.values.len(), rows * weights.words());
    assert_eq!(input.offsets.len(), weights.terms);
    let furthest = input.offsets.iter().max().copied().unwrap_or_default();
    assert!(furthest + columns <= input.values.len(), "a term reaches beyond the input");
    assert!(columns <= out_stride && (rows - 1) * out_stride + columns <= out.len(), "the output is too short");
    if weights.precision != Precision::F32 {
        // SAFETY: asserted above.
        return unsafe { with_fewer_bits(Product { weights, input, columns, out, out_stride, add }) };
    }
    if S::REGISTER_COUNT >= 32 {
        // SAFETY: asserted above, and the panels have this tile's rows.
        unsafe { blocks::<S, { WIDE_TILE[0] }, { WIDE_TILE[1] }>(simd, weights, input, columns, out, out_stride, add) }
    } else {
        // SAFETY: as above.
        unsafe {
            blocks::<S, { NARROW_TILE[0] }, { NARROW_TILE[1] }>(simd, weights, input, columns, out, out_stride, add)
        }
    }
}

/// The arguments of [`product`].
struct Product<'a> {
    weights: Panels<'a>,
    input: Terms<'a>,
    columns: usize,
    out: &'a mut [f32],
    out_stride: usize,
    add: bool,
}

/// Multiplies weights of fewer bits, by this machine's instructions for them if it has some.
///
/// # Safety
///
/// `columns` is a multiple of a vector's. As many values exist from each offset and in each row of the output,
/// which has as many rows as the panels.
#[inline(never)]
unsafe fn with_fewer_bits(product: Product<'_>) {
    #[cfg(target_arch = "x86_64")]
    match product.weights.precision {
        Precision::F32 => {}
        Precision::Bf16 => {
            if let Some(dots) = dots::Avx512Bf16::detect_fast() {
                return dots.vectorize(bf16::Multiply(product));
            }
        }
        Precision::Int16 => {
            if let Some(dots) = dots::Avx512Int16::detect() {
                return dots.vectorize(integers::Multiply(product));
            }
            if let Some(dots) = dots::Avx2Int16::detect_fast() {
                return dots.vectorize(integers::Multiply(product));
            }
            if let Some(dots) = dots::AvxInt16::detect() {
                return dots.vectorize(integers::Multiply(product));
            }
        }
        Precision::Int8 => {
            if let Some(dots) = dots::Avx512Int8::detect() {
                return dots.vectorize(integers::Multiply(product));
            }
            // Its instruction for bytes saturates, and is no faster.
            if let Some(dots) = dots::Avx2Int16::detect_fast() {
                return dots.vectorize(integers::Multiply(product));
            }
            if let Some(dots) = dots::AvxInt8::detect() {
                return dots.vectorize(integers::Multiply(product));
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    match product.weights.precision {
        // SMLAL multiplies four values of 16 bits, as many as the f32 instruction.
        Precision::F32 | Precision::Int16 => {}
        Precision::Bf16 => {
            if let Some(dots) = dots::NeonBf16::detect() {
                return dots.vectorize(bf16::Multiply(product));
            }
        }
        Precision::Int8 => {
            if let Some(dots) = dots::NeonInt8::detect() {
                return dots.vectorize(integers::Multiply(product));
            }
        }
    }
    dispatch(expanded::Expanded(product));
}

/// Repeats this machine's instruction for a precision on registers alone. Returns the number of operations, or `None`
/// if it has no such instruction.
pub(crate) fn spin(precision: Precision, times: usize) -> Option<usize> {
    struct Single(usize);
    impl pulp::WithSimd for Single {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> usize {
            dots::WithDots::with_dots(dots::Spin(self.0), simd, dots::Single)
        }
    }
    match precision {
        Precision::F32 => Some(dispatch(Single(times))),
        #[cfg(target_arch = "x86_64")]
        Precision::Bf16 => dots::Avx512Bf16::detect().map(|dots| dots.vectorize(dots::Spin(times))),
        #[cfg(target_arch = "x86_64")]
        Precision::Int16 => {
            let wide = dots::Avx512Int16::detect().map(|dots| dots.vectorize(dots::Spin(times)));
            let wide = wide.or_else(|| dots::Avx2Int16::detect_fast().map(|dots| dots.vectorize(dots::Spin(times))));
            wide.or_else(|| dots::AvxInt16::detect().map(|dots| dots.vectorize(dots::Spin(times))))
        }
        #[cfg(target_arch = "x86_64")]
        Precision::Int8 => {
            let wide = dots::Avx512Int8::detect().map(|dots| dots.vectorize(dots::Spin(times)));
            let wide = wide.or_else(|| dots::Avx2Int16::detect_fast().map(|dots| dots.vectorize(dots::Spin(times))));
            wide.or_else(|| dots::AvxInt8::detect().map(|dots| dots.vectorize(dots::Spin(times))))
        }
        #[cfg(target_arch = "aarch64")]
        Precision::Bf16 => dots::NeonBf16::detect().map(|dots| dots.vectorize(dots::Spin(times))),
        #[cfg(target_arch = "aarch64")]
        Precision::Int8 => dots::NeonInt8::detect().map(|dots| dots.vectorize(dots::Spin(times))),
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    }
}

/// # Safety
///
/// `columns` is a multiple of a vector's. As many values exist from each offset and in each row of the output,
/// which has as many rows as the panels of `ROWS`.
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
            let mut column = 0;
            while column < columns {
                let vectors = VECTORS.min((columns - column) / S::F32_LANES);
                for row in (row_block..(row_block + BLOCK_ROWS).min(rows)).step_by(ROWS) {
                    let add = add || first > 0;
                    // SAFETY: the caller's guarantee. Panel `row / ROWS` starts at `row * all_terms`, each term is `ROWS`
                    // further. A tile is at most as wide as the columns left.
                    unsafe {
                        let panel = weights.values.as_ptr();
                        let panel = panel.add(row * weights.all_terms + (weights.first_term + first) * ROWS);
                        let values = input.values.as_ptr().add(column);
                        let out = out.as_mut_ptr().add(row * out_stride + column);
                        if vectors == VECTORS {
                            tile::<S, ROWS, VECTORS>(simd, panel, values, offsets, out, out_stride, add);
                        } else if vectors == 2 {
                            tile::<S, ROWS, 2>(simd, panel, values, offsets, out, out_stride, add);
                        } else {
                            tile::<S, ROWS, 1>(simd, panel, values, offsets, out, out_stride, add);
                        }
                    }
                }
                column += vectors * S::F32_LANES;
            }
        }
    }
}

/// Computes one tile of the output, held in registers over all terms.
///
/// # Safety
///
/// `panel` has `ROWS` values per offset; each offset from `values` is followed by the values of `VECTORS` vectors; `out`
/// has `ROWS` rows of as many values, `out_stride` apart.
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
        // SAFETY: the caller's guarantee; vectors are read and written unaligned.
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
