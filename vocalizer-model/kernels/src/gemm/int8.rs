//! Products of 8-bit integers: four terms side by side, four products and sums per instruction.
//!
//! Terms are cut into groups. Weights are signed, with a scale for each row and group. Inputs are unsigned, with a scale
//! and a zero point for each column and group, found when they are converted: so a large value costs accuracy only in
//! its own column and group, and results do not depend on how columns are cut into pieces.

use pulp::Simd;

use super::blocks::{Format, Out, multiply};
use super::dots::{self, QuadDot, WithDots};
use super::{Product, padded_rows};

/// Terms per word.
pub(super) const QUAD: usize = 4;

/// Terms per group. The sum of a group is less than 2^22 (128 · 127 · 255), so that it fits beside [`INTEGER`].
pub(super) const GROUP: usize = 128;

/// Words per row and group besides the weights: the scale, and the sum of the weights.
pub(super) const FACTORS: usize = 2;

/// The largest weight, and the largest input less one, which rounding of the zero point may take.
const MOST_WEIGHT: f32 = 127.0;
const MOST_INPUT: f32 = 254.0;

/// Added to an f32, it leaves the nearest integer in the lowest bits, for integers of up to 22 bits and a sign.
const INTEGER: f32 = 12_582_912.0;

/// What four sums with [`INTEGER`] add to a word of four bytes.
const IN_WORD: u32 = {
    let bits = INTEGER.to_bits();
    bits.wrapping_add(bits << 8).wrapping_add(bits << 16).wrapping_add(bits << 24)
};

/// A column with a smaller range is zero: its scale could not be inverted.
const LEAST_RANGE: f32 = 1e-30;

/// Packs a matrix. A panel has, for each group, a word per quad of terms and row, then each row's scale, then each row's
/// scaled sum. A group of a row with NaN or an infinity has the scale NaN.
pub(super) fn pack(rows: usize, terms: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let panel = padded_rows(1);
    let mut out = Vec::new();
    for first_row in (0..padded_rows(rows)).step_by(panel) {
        for first in (0..terms).step_by(GROUP) {
            let weight = |i: usize, term: usize| {
                let row = first_row + i;
                if row < rows && term < terms.min(first + GROUP) { at(row, term) } else { 0.0 }
            };
            let scales: Vec<f32> = (0..panel)
                .map(|i| {
                    let group = (first..first + GROUP).map(|term| weight(i, term));
                    let most = group.clone().fold(0.0, |most: f32, v| most.max(v.abs()));
                    if !group.clone().all(f32::is_finite) {
                        return f32::NAN;
                    }
                    if most < LEAST_RANGE { 0.0 } else { most / MOST_WEIGHT }
                })
                .collect();
            #[expect(clippy::cast_possible_truncation, reason = "at most 127; NaN becomes zero")]
            let integer = |i: usize, term: usize| {
                if scales[i] == 0.0 { 0 } else { (weight(i, term) / scales[i]).round_ties_even() as i8 }
            };
            let end = terms.min(first + GROUP);
            for quad in (first..end).step_by(QUAD) {
                for i in 0..panel {
                    let bytes = std::array::from_fn(|k| integer(i, quad + k).to_ne_bytes()[0]);
                    out.push(f32::from_bits(u32::from_le_bytes(bytes)));
                }
            }
            out.extend(&scales);
            for (i, scale) in scales.iter().enumerate() {
                #[expect(clippy::cast_precision_loss, reason = "at most 128 · 127")]
                let sum = (first..end).map(|term| i32::from(integer(i, term))).sum::<i32>() as f32;
                out.push(sum * scale);
            }
        }
    }
    out
}

/// Returns the weight of a term in its word, without its scale.
#[inline(always)]
pub(super) fn unpack(word: u32, term: usize) -> f32 {
    f32::from(word.to_le_bytes()[term % QUAD].cast_signed())
}

/// A product, valid as [`super::with_fewer_bits`] demands.
pub(super) struct Multiply<'a>(pub(super) Product<'a>);

impl<S: Simd, D: QuadDot<S>> WithDots<S, D> for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_dots(self, simd: S, dots: D) {
        // SAFETY: the product is valid.
        unsafe { multiply(simd, Quads(dots), self.0) }
    }
}

/// Converted terms of a group are the scales of the columns, what their zero points add to a product of one, then the
/// quads.
#[derive(Clone, Copy)]
struct Quads<D>(D);

impl<S: Simd, D: QuadDot<S>> Format<S> for Quads<D> {
    const BLOCK: usize = 4 * GROUP;

    #[inline(always)]
    unsafe fn convert<const VECTORS: usize>(
        self,
        simd: S,
        values: *const f32,
        offsets: &[usize],
        mut to: *mut S::u32s,
    ) {
        for group in offsets.chunks(GROUP) {
            // SAFETY: the caller's guarantee.
            unsafe {
                quantise::<S, VECTORS>(simd, values, group, to.cast());
                to = to.add((group.len().div_ceil(QUAD) + FACTORS) * VECTORS);
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        self,
        simd: S,
        mut panel: *const u32,
        mut values: *const S::u32s,
        terms: usize,
        mut out: Out,
    ) {
        let start = simd.splat_u32s(INTEGER.to_bits());
        for first in (0..terms).step_by(GROUP) {
            let count = GROUP.min(terms - first).div_ceil(QUAD);
            // SAFETY: the caller's guarantee; vectors are read and written unaligned.
            unsafe {
                let quads = values.add(FACTORS * VECTORS);
                let sums = dots::tile::<S, D, ROWS, VECTORS>(simd, self.0, panel, quads, count, start);
                let factors: *const f32 = panel.add(count * ROWS).cast();
                let mut columns = [[simd.splat_f32s(0.0); VECTORS]; FACTORS];
                for (index, vector) in columns.as_flattened_mut().iter_mut().enumerate() {
                    *vector = values.cast::<S::f32s>().add(index).read_unaligned();
                }
                let [scales, shifts] = columns;
                for (i, sums) in sums.iter().enumerate() {
                    let (scale, total) = (simd.splat_f32s(*factors.add(i)), simd.splat_f32s(*factors.add(ROWS + i)));
                    for (j, &sum) in sums.iter().enumerate() {
                        let place = out.at::<S>(i, j);
                        let before = if out.add { place.read_unaligned() } else { simd.splat_f32s(0.0) };
                        let before = simd.mul_add_e_f32s(shifts[j], total, before);
                        let sum = simd.sub_f32s(simd.transmute_f32s_u32s(sum), simd.splat_f32s(INTEGER));
                        place.write_unaligned(simd.mul_add_e_f32s(simd.mul_f32s(sum, scales[j]), scale, before));
                    }
                }
                panel = panel.add((count + FACTORS) * ROWS);
                values = quads.add(count * VECTORS);
            }
            out.add = true;
        }
    }
}

/// Converts a group of terms. The range of a column is widened to include zero, which is then exact. The results of a
/// column with NaN or an infinity are NaN.
///
/// # Safety
///
/// `VECTORS` vectors exist from each offset, and for each word in `to`.
#[inline(always)]
unsafe fn quantise<S: Simd, const VECTORS: usize>(
    simd: S,
    values: *const f32,
    offsets: &[usize],
    mut to: *mut S::f32s,
) {
    let splat = |v| simd.splat_f32s(v);
    let (zero, integer) = (splat(0.0), splat(INTEGER));
    // SAFETY: the caller's guarantee.
    let term = |offset: usize, j: usize| unsafe { values.add(offset).cast::<S::f32s>().add(j).read_unaligned() };
    let (mut lows, mut highs, mut flaws) = ([zero; VECTORS], [zero; VECTORS], [zero; VECTORS]);
    for &offset in offsets {
        for j in 0..VECTORS {
            let v = term(offset, j);
            lows[j] = simd.min_f32s(lows[j], v);
            highs[j] = simd.max_f32s(highs[j], v);
            // NaN from the first value that is not finite.
            flaws[j] = simd.mul_add_e_f32s(v, zero, flaws[j]);
        }
    }
    let (mut factors, mut zeros) = ([zero; VECTORS], [zero; VECTORS]);
    for j in 0..VECTORS {
        let range = simd.sub_f32s(highs[j], lows[j]);
        let is_used = simd.greater_than_f32s(range, splat(LEAST_RANGE));
        factors[j] = simd.select_f32s(is_used, simd.div_f32s(splat(MOST_INPUT), range), zero);
        // Rounded once, so that the lowest value does not become less than zero.
        zeros[j] = simd.mul_add_e_f32s(simd.neg_f32s(lows[j]), factors[j], integer);
        let scale = simd.select_f32s(is_used, simd.mul_f32s(range, splat(1.0 / MOST_INPUT)), zero);
        let scale = simd.add_f32s(scale, simd.mul_add_e_f32s(range, zero, flaws[j]));
        let shift = simd.mul_f32s(simd.sub_f32s(integer, zeros[j]), scale);
        // SAFETY: as above.
        unsafe {
            to.add(j).write_unaligned(scale);
            to.add(VECTORS + j).write_unaligned(shift);
        }
    }
    // SAFETY: as above.
    to = unsafe { to.add(FACTORS * VECTORS) };
    for quad in offsets.chunks(QUAD) {
        for j in 0..VECTORS {
            let byte = |k: usize| {
                let v =
                    quad.get(k).map_or(integer, |&offset| simd.mul_add_e_f32s(term(offset, j), factors[j], zeros[j]));
                simd.transmute_u32s_f32s(v)
            };
            let shifted = |k: usize, bits: u32| simd.wrapping_dyn_shl_u32s(byte(k), simd.splat_u32s(bits));
            let low = simd.add_u32s(byte(0), shifted(1, 8));
            let high = simd.add_u32s(shifted(2, 16), shifted(3, 24));
            let word = simd.sub_u32s(simd.add_u32s(low, high), simd.splat_u32s(IN_WORD));
            // SAFETY: as above.
            unsafe {
                to.write_unaligned(simd.transmute_f32s_u32s(word));
                to = to.add(1);
            }
        }
    }
}
