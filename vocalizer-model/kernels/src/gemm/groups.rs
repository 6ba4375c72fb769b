//! The layout of integer weights. Terms are cut into groups. Weights are signed, with a scale for each row and group; the
//! inputs that they are multiplied by are not negative, see [`Size::centre`] for an exception.

use super::padded_rows;

/// The size of integers.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Terms per word.
    pub(super) terms: usize,
    /// The largest weight.
    most_weight: f32,
    /// The largest input less one, which rounding of the zero point may take.
    pub(super) most_input: f32,
    /// What is subtracted from inputs, for instructions that want a sign: half of the range of a term's bits, or zero.
    pub(super) centre: u32,
}

/// Bytes.
pub(super) const INT8: Size = Size { terms: 4, most_weight: 127.0, most_input: 254.0, centre: 0 };

/// Bytes, with inputs from -128 on.
#[cfg(target_arch = "aarch64")]
pub(super) const SIGNED_INT8: Size = Size { centre: 128, ..INT8 };

/// As many of 16 bits as leave the sum of a group below 2^31: 128 · 2047 · 8191.
pub(super) const INT16: Size = Size { terms: 2, most_weight: 2047.0, most_input: 8190.0, centre: 0 };

/// Terms per group.
pub(super) const GROUP: usize = 128;

/// Words per row and group besides the weights: the scale, and the sum of the weights.
pub(super) const FACTORS: usize = 2;

/// Values with a smaller range are zero: their scale could not be inverted.
pub(super) const LEAST_RANGE: f32 = 1e-30;

impl Size {
    /// Returns the bits per term.
    pub(super) const fn bits(self) -> usize {
        32 / self.terms
    }

    /// Returns the bits of a term in its word.
    const fn place(self, term: usize) -> u32 {
        (u32::MAX >> (32 - self.bits())) << (term % self.terms * self.bits())
    }

    /// Returns the words per row of a packed matrix.
    pub(super) fn words(self, terms: usize) -> usize {
        terms.div_ceil(self.terms) + FACTORS * terms.div_ceil(GROUP)
    }

    /// Returns the weight of a term in its word, without its scale.
    #[inline(always)]
    #[expect(clippy::cast_precision_loss, reason = "at most 16 bits")]
    pub(super) fn unpack(self, word: u32, term: usize) -> f32 {
        let bits = self.bits();
        (word << (32 - bits - term % self.terms * bits)).cast_signed().wrapping_shr(32 - bits as u32) as f32
    }

    /// Packs a matrix. A panel has, for each group, the words of each row, then each row's scale, then each row's scaled
    /// sum. A group of a row with NaN or an infinity has the scale NaN.
    pub(super) fn pack(self, rows: usize, terms: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let panel = padded_rows(1);
        let mut out = Vec::with_capacity(padded_rows(rows) * self.words(terms));
        for first_row in (0..padded_rows(rows)).step_by(panel) {
            for first in (0..terms).step_by(GROUP) {
                let end = terms.min(first + GROUP);
                let weight = |i: usize, term: usize| {
                    if first_row + i < rows && term < end { at(first_row + i, term) } else { 0.0 }
                };
                let scale = |i: usize| {
                    let group = (first..end).map(|term| weight(i, term).abs());
                    if !group.clone().all(f32::is_finite) {
                        return f32::NAN;
                    }
                    let most = group.fold(0.0, f32::max);
                    if most < LEAST_RANGE { 0.0 } else { most / self.most_weight }
                };
                let scales: Vec<f32> = (0..panel).map(scale).collect();
                #[expect(clippy::cast_possible_truncation, reason = "at most 2047; NaN becomes zero")]
                let integer = |i: usize, term: usize| {
                    if scales[i] == 0.0 { 0 } else { (weight(i, term) / scales[i]).round_ties_even() as i32 }
                };
                for word in (first..end).step_by(self.terms) {
                    for i in 0..panel {
                        let place = |k: usize| {
                            let shift = k * self.bits();
                            integer(i, word + k).cast_unsigned() << shift & self.place(k)
                        };
                        out.push(f32::from_bits((0..self.terms).map(place).sum()));
                    }
                }
                out.extend(&scales);
                for (i, scale) in scales.iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "at most 128 · 2047")]
                    let sum = (first..end).map(|term| integer(i, term)).sum::<i32>() as f32;
                    out.push(sum * scale);
                }
            }
        }
        out
    }
}
