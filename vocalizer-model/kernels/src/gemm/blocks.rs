//! The loops of products with fewer bits: blocks of terms, of rows and of columns, as in f32. The terms of some columns
//! are converted just before their first use, so that they are in the L1 cache then.

use pulp::Simd;

use super::{BLOCK_ROWS, NARROW_TILE, Precision, Product, WIDE_TILE, groups};
use crate::scratch::Scratch;

/// How terms are converted and multiplied in one precision.
pub(super) trait Format<S: Simd>: Copy {
    /// The precision of the panels, and of the converted terms. Bytes are widened for one of 16 bits.
    const PANELS: Precision;

    /// Terms per block, whole groups: those of a tile stay in the L1 cache.
    const BLOCK: usize;

    /// Converts terms into words, `VECTORS` vectors each.
    ///
    /// # Safety
    ///
    /// So many values follow each offset, and so many words fit into `to`.
    unsafe fn convert<const VECTORS: usize>(self, simd: S, values: *const f32, offsets: &[usize], to: *mut S::u32s);

    /// Multiplies a panel by `terms` converted terms.
    ///
    /// # Safety
    ///
    /// `panel` has `ROWS` words and `values` has `VECTORS` vectors per word of a row; `out` has `ROWS` rows of as many
    /// vectors, `out_stride` apart.
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        self,
        simd: S,
        panel: *const u32,
        values: *const S::u32s,
        terms: usize,
        out: Out,
    );
}

/// Part of the output, and whether to add to its values.
#[derive(Clone, Copy)]
pub(super) struct Out {
    start: *mut f32,
    stride: usize,
    pub(super) add: bool,
}

impl Out {
    /// Returns a vector of a row.
    ///
    /// # Safety
    ///
    /// It is within the output.
    #[inline(always)]
    pub(super) unsafe fn at<S: Simd>(self, row: usize, vector: usize) -> *mut S::f32s {
        // SAFETY: the caller's guarantee.
        unsafe { self.start.add(row * self.stride).cast::<S::f32s>().add(vector) }
    }
}

/// # Safety
///
/// See [`super::with_fewer_bits`].
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd, F: Format<S>>(simd: S, format: F, product: Product<'_>) {
    // SAFETY: the caller's guarantee, and the panels have this tile's rows.
    unsafe {
        if S::REGISTER_COUNT >= 32 {
            blocks::<S, F, { WIDE_TILE[0] }, { WIDE_TILE[1] }>(simd, format, product);
        } else {
            blocks::<S, F, { NARROW_TILE[0] }, { NARROW_TILE[1] }>(simd, format, product);
        }
    }
}

/// # Safety
///
/// See [`super::with_fewer_bits`]; panels have `ROWS` rows.
#[inline(always)]
unsafe fn blocks<S: Simd, F: Format<S>, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    format: F,
    product: Product<'_>,
) {
    let Product { weights, input, columns, out, out_stride, add } = product;
    let (rows, terms) = (weights.rows.next_multiple_of(ROWS), weights.terms);
    let is_widened = F::PANELS == Precision::Int16 && weights.precision == Precision::Int8;
    let stored = |terms: usize| weights.precision.words(terms);
    let block_words = F::PANELS.words(F::BLOCK.min(terms));
    let mut scratch = Scratch::take_for_terms();
    let widened = if is_widened { block_words * BLOCK_ROWS.min(rows) } else { 0 };
    let [converted, widened] = scratch.slices([block_words * columns, widened]);
    for first in (0..terms).step_by(F::BLOCK) {
        let offsets = &input.offsets[first..(first + F::BLOCK).min(terms)];
        let words = F::PANELS.words(offsets.len());
        for row_block in (0..rows).step_by(BLOCK_ROWS) {
            let row_end = (row_block + BLOCK_ROWS).min(rows);
            // Panel `row / ROWS` starts at `row * words`, each word is `ROWS` further.
            let panels = &weights.values[row_block * stored(weights.all_terms)..row_end * stored(weights.all_terms)];
            let skipped = stored(weights.first_term + first) * ROWS;
            let (panel, panel_words) = if is_widened {
                let panels = panels.chunks_exact(ROWS * stored(weights.all_terms));
                for (panel, widened) in panels.zip(widened.chunks_exact_mut(ROWS * words)) {
                    let (panel, widened) = (&panel[skipped..], widened.as_chunks_mut::<ROWS>().0);
                    groups::widen::<ROWS>(panel.as_chunks::<ROWS>().0, offsets.len(), widened);
                }
                (&*widened, words)
            } else {
                (&panels[skipped..], stored(weights.all_terms))
            };
            let mut column = 0;
            while column < columns {
                let vectors = VECTORS.min((columns - column) / S::F32_LANES);
                // SAFETY: the caller's guarantee. A tile is at most as wide as the columns left; its terms follow those of the
                // columns before.
                unsafe {
                    let out = out.as_mut_ptr().add(row_block * out_stride + column);
                    let tile = Tile {
                        fresh: (row_block == 0).then(|| input.values.as_ptr().add(column)),
                        offsets,
                        converted: converted.as_mut_ptr().add(column * words).cast(),
                        panel: panel.as_ptr().cast(),
                        words: panel_words,
                        rows: row_end - row_block,
                        out: Out { start: out, stride: out_stride, add: add || first > 0 },
                    };
                    if vectors == VECTORS {
                        tile.multiply::<S, F, ROWS, VECTORS>(simd, format);
                    } else if vectors == 2 {
                        tile.multiply::<S, F, ROWS, 2>(simd, format);
                    } else {
                        tile.multiply::<S, F, ROWS, 1>(simd, format);
                    }
                }
                column += vectors * S::F32_LANES;
            }
        }
    }
}

/// Some columns of a block of terms, times some rows.
struct Tile<'a> {
    /// The values of the columns, unless they are already converted.
    fresh: Option<*const f32>,
    offsets: &'a [usize],
    converted: *mut u32,
    /// The block's terms of the first row.
    panel: *const u32,
    /// Words per row of weights.
    words: usize,
    rows: usize,
    /// The columns in the first row of the output.
    out: Out,
}

impl Tile<'_> {
    /// # Safety
    ///
    /// The pointers are valid for `VECTORS` vectors.
    #[inline(always)]
    unsafe fn multiply<S: Simd, F: Format<S>, const ROWS: usize, const VECTORS: usize>(self, simd: S, format: F) {
        let converted: *mut S::u32s = self.converted.cast();
        // SAFETY: the caller's guarantee.
        unsafe {
            if let Some(values) = self.fresh {
                format.convert::<VECTORS>(simd, values, self.offsets, converted);
            }
            for row in (0..self.rows).step_by(ROWS) {
                let panel = self.panel.add(row * self.words);
                let out = Out { start: self.out.start.add(row * self.out.stride), ..self.out };
                format.tile::<ROWS, VECTORS>(simd, panel, converted, self.offsets.len(), out);
            }
        }
    }
}
