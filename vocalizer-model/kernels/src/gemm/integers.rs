//! Products of integers: two or four terms side by side, as many products and sums per instruction.
//!
//! Inputs have a scale and a zero point for each column and group, found when they are converted: so a large value costs
//! accuracy only in its own column and group, and results do not depend on how columns are cut into pieces.

use pulp::Simd;

use super::blocks::{Format, Out, multiply};
use super::dots::{self, IntegerDot, WithDots};
use super::groups::{FACTORS, GROUP, INT16, LEAST_RANGE, Size};
use super::{Precision, Product};

/// Added to an f32, it leaves the nearest integer in the lowest bits, for integers of up to 22 bits and a sign.
const INTEGER: f32 = 12_582_912.0;

/// A product, valid as [`super::with_fewer_bits`] demands.
pub(super) struct Multiply<'a>(pub(super) Product<'a>);

impl<S: Simd, D: IntegerDot<S>> WithDots<S, D> for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_dots(self, simd: S, dots: D) {
        // SAFETY: the product is valid.
        unsafe { multiply(simd, Integers(dots), self.0) }
    }
}

/// Converted terms of a group are the scales of the columns, what their zero points add to a product of one, then the
/// words.
#[derive(Clone, Copy)]
struct Integers<D>(D);

impl<S: Simd, D: IntegerDot<S>> Format<S> for Integers<D> {
    const PANELS: Precision = if D::SIZE.terms == INT16.terms { Precision::Int16 } else { Precision::Int8 };
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
                quantise::<S, VECTORS>(simd, D::SIZE, values, group, to.cast());
                to = to.add((group.len().div_ceil(D::SIZE.terms) + FACTORS) * VECTORS);
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
        let zero = simd.splat_u32s(0);
        for first in (0..terms).step_by(GROUP) {
            let count = GROUP.min(terms - first).div_ceil(D::SIZE.terms);
            // SAFETY: the caller's guarantee; vectors are read and written unaligned.
            unsafe {
                let words = values.add(FACTORS * VECTORS);
                let sums = dots::tile::<S, D, ROWS, VECTORS>(simd, self.0, panel, words, count, zero);
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
                        let sum = self.0.to_f32(simd, sum);
                        place.write_unaligned(simd.mul_add_e_f32s(simd.mul_f32s(sum, scales[j]), scale, before));
                    }
                }
                panel = panel.add((count + FACTORS) * ROWS);
                values = words.add(count * VECTORS);
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
    size: Size,
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
        factors[j] = simd.select_f32s(is_used, simd.div_f32s(splat(size.most_input), range), zero);
        // Rounded once, so that the lowest value does not become less than zero.
        zeros[j] = simd.mul_add_e_f32s(simd.neg_f32s(lows[j]), factors[j], integer);
        let scale = simd.select_f32s(is_used, simd.mul_f32s(range, splat(1.0 / size.most_input)), zero);
        let scale = simd.add_f32s(scale, simd.mul_add_e_f32s(range, zero, flaws[j]));
        let shift = simd.mul_f32s(simd.sub_f32s(splat(INTEGER + size.centre as f32), zeros[j]), scale);
        // SAFETY: as above.
        unsafe {
            to.add(j).write_unaligned(scale);
            to.add(VECTORS + j).write_unaligned(shift);
        }
    }
    // SAFETY: as above.
    to = unsafe { to.add(FACTORS * VECTORS) };
    let words = offsets.chunks_exact(size.terms);
    let rest = words.remainder();
    for word in words {
        // SAFETY: as above.
        unsafe {
            integers::<S, VECTORS>(simd, size, values, word, [&factors, &zeros], to);
            to = to.add(VECTORS);
        }
    }
    if !rest.is_empty() {
        // SAFETY: as above.
        unsafe { integers::<S, VECTORS>(simd, size, values, rest, [&factors, &zeros], to) }
    }
}

/// Writes a word of terms; missing ones become zero.
///
/// # Safety
///
/// See [`quantise`].
#[inline(always)]
unsafe fn integers<S: Simd, const VECTORS: usize>(
    simd: S,
    size: Size,
    values: *const f32,
    offsets: &[usize],
    [factors, zeros]: [&[S::f32s; VECTORS]; 2],
    to: *mut S::f32s,
) {
    // What the sums with `INTEGER` add to a word.
    let surplus = (0..size.terms).fold(0_u32, |sum, k| sum.wrapping_add(INTEGER.to_bits() << (k * size.bits())));
    // Flipping the highest bit of a term subtracts the centre.
    let flips = (0..size.terms).fold(0, |sum, k| sum | size.centre << (k * size.bits()));
    for j in 0..VECTORS {
        let mut sum = simd.splat_u32s(surplus.wrapping_neg());
        for k in 0..size.terms {
            let v = match offsets.get(k) {
                // SAFETY: the caller's guarantee.
                Some(&offset) => unsafe {
                    let v = values.add(offset).cast::<S::f32s>().add(j).read_unaligned();
                    simd.mul_add_e_f32s(v, factors[j], zeros[j])
                },
                None => simd.splat_f32s(INTEGER),
            };
            let v = simd.transmute_u32s_f32s(v);
            let v = if k == 0 { v } else { simd.wrapping_dyn_shl_u32s(v, simd.splat_u32s((k * size.bits()) as u32)) };
            sum = simd.add_u32s(sum, v);
        }
        if flips != 0 {
            sum = simd.xor_u32s(sum, simd.splat_u32s(flips));
        }
        // SAFETY: as above.
        unsafe { to.add(j).write_unaligned(simd.transmute_f32s_u32s(sum)) }
    }
}
