//! Products of bf16 values: pairs of terms side by side, two products and sums per instruction.

use pulp::Simd;

use super::Product;
use super::blocks::{Format, Out, multiply};
use super::dots::{self, PairDot, WithDots};
use super::precision::{PAIR, Precision};

/// Rounds to the nearest bf16, to the even one of two; denormal numbers become zero, as in the instruction.
#[inline(always)]
fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() {
        return bits >> 16 | 0x40;
    }
    if value.is_normal() { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 } else { bits >> 16 & 0xff80 }
}

/// Converts the terms of a panel to words, one per pair of terms and row.
#[inline(always)]
pub(super) fn convert<const ROWS: usize>(terms: &[[f32; ROWS]], words: &mut [[f32; ROWS]]) {
    for (pair, words) in terms.chunks(PAIR).zip(words) {
        let second = pair.get(1).unwrap_or(&[0.0; ROWS]);
        *words = std::array::from_fn(|row| f32::from_bits(round(pair[0][row]) | round(second[row]) << 16));
    }
}

/// Returns the weight of a term in its word.
#[inline(always)]
pub(super) fn unpack(word: u32, term: usize) -> f32 {
    f32::from_bits(if term.is_multiple_of(PAIR) { word << 16 } else { word & 0xffff_0000 })
}

/// A product, valid as [`super::with_fewer_bits`] demands.
pub(super) struct Multiply<'a>(pub(super) Product<'a>);

impl<S: Simd, D: PairDot<S>> WithDots<S, D> for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_dots(self, simd: S, dots: D) {
        // SAFETY: the product is valid.
        unsafe { multiply(simd, Pairs(dots), self.0) }
    }
}

#[derive(Clone, Copy)]
struct Pairs<D>(D);

impl<S: Simd, D: PairDot<S>> Format<S> for Pairs<D> {
    const PANELS: Precision = Precision::Bf16;
    const BLOCK: usize = 256;

    #[inline(always)]
    unsafe fn convert<const VECTORS: usize>(
        self,
        simd: S,
        values: *const f32,
        offsets: &[usize],
        mut to: *mut S::u32s,
    ) {
        let (pairs, rest) = offsets.as_chunks::<PAIR>();
        // SAFETY: the caller's guarantee.
        let term = |offset: usize, j: usize| unsafe { values.add(offset).cast::<S::f32s>().add(j).read_unaligned() };
        for &[first, second] in pairs {
            for j in 0..VECTORS {
                let words = self.0.pair(simd, term(first, j), term(second, j));
                // SAFETY: as above.
                unsafe { to.add(j).write_unaligned(words) }
            }
            // SAFETY: as above.
            to = unsafe { to.add(VECTORS) };
        }
        for &last in rest {
            for j in 0..VECTORS {
                let words = self.0.pair(simd, term(last, j), simd.splat_f32s(0.0));
                // SAFETY: as above.
                unsafe { to.add(j).write_unaligned(words) }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        self,
        simd: S,
        panel: *const u32,
        values: *const S::u32s,
        terms: usize,
        out: Out,
    ) {
        let zero = simd.splat_u32s(0);
        // SAFETY: the caller's guarantee; vectors are read and written unaligned.
        unsafe {
            let count = terms.div_ceil(PAIR);
            let sums = dots::tile::<S, D, ROWS, VECTORS>(simd, self.0, panel, values, count, zero);
            for (i, sums) in sums.iter().enumerate() {
                for (j, &sum) in sums.iter().enumerate() {
                    let (place, sum) = (out.at::<S>(i, j), simd.transmute_f32s_u32s(sum));
                    place.write_unaligned(if out.add { simd.add_f32s(place.read_unaligned(), sum) } else { sum });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_nearest_even() {
        let rounded = |bits: u32| round(f32::from_bits(bits));
        assert_eq!(rounded(0x3f80_8000), 0x3f80, "a tie, down to the even one");
        assert_eq!(rounded(0x3f81_8000), 0x3f82, "a tie, up to the even one");
        assert_eq!(rounded(0x3f80_8001), 0x3f81);
        assert_eq!(rounded(0xbf80_7fff), 0xbf80);
        assert_eq!(round(f32::MAX), 0x7f80, "infinity");
        assert_eq!(round(f32::NEG_INFINITY), 0xff80);
        assert_eq!(round(1e-40), 0);
        assert_eq!(round(-1e-40), 0x8000);
        assert!(f32::from_bits(rounded(0x7f80_0001) << 16).is_nan());
    }
}
