//! The layout of integer weights. Terms are cut into groups. Weights are signed, with a scale for each row and group; the
//! inputs that they are multiplied by are not negative, see [`Size::centre`] for an exception.

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

    /// Converts the terms of a panel. It has, for each group, the words of each row, then each row's scale, then each row's
    /// scaled sum. A group of a row with NaN or an infinity has the scale NaN.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "integers of at most 2047; NaN becomes zero")]
    #[expect(clippy::cast_precision_loss, reason = "sums of at most 128 · 2047")]
    pub(super) fn convert<const ROWS: usize>(self, terms: &[[f32; ROWS]], mut words: &mut [[f32; ROWS]]) {
        for group in terms.chunks(GROUP) {
            let (mut most, mut flaws) = ([0.0_f32; ROWS], [0.0_f32; ROWS]);
            for term in group {
                for row in 0..ROWS {
                    most[row] = most[row].max(term[row].abs());
                    // NaN from the first value that is not finite.
                    flaws[row] += term[row] * 0.0;
                }
            }
            let scales: [f32; ROWS] = std::array::from_fn(|row| {
                flaws[row] + if most[row] < LEAST_RANGE { 0.0 } else { most[row] / self.most_weight }
            });
            let mut sums = [0; ROWS];
            let count = group.len().div_ceil(self.terms);
            for (word, out) in group.chunks(self.terms).zip(&mut *words) {
                let mut bits = [0; ROWS];
                for (k, term) in word.iter().enumerate() {
                    for row in 0..ROWS {
                        // NaN where the scale is zero.
                        let integer = (term[row] / scales[row]).round_ties_even() as i32;
                        let integer = if scales[row] == 0.0 { 0 } else { integer };
                        sums[row] += integer;
                        bits[row] |= integer.cast_unsigned() << (k * self.bits()) & self.place(k);
                    }
                }
                *out = bits.map(f32::from_bits);
            }
            words[count] = scales;
            words[count + 1] = std::array::from_fn(|row| sums[row] as f32 * scales[row]);
            words = &mut words[count + FACTORS..];
        }
    }
}

/// Widens `terms` bytes of a panel, whole groups or the last ones, to 16 bits each. Scales and sums remain.
#[inline(always)]
pub(super) fn widen<const ROWS: usize>(panel: &[[f32; ROWS]], terms: usize, out: &mut [[f32; ROWS]]) {
    // The term at the left of its word, with its sign, in 16 bits.
    let widened = |word: u32, left: u32| (word << left).cast_signed().wrapping_shr(24).cast_unsigned() & 0xffff;
    let (mut bytes, mut out) = (panel, out);
    for first in (0..terms).step_by(GROUP) {
        let count = GROUP.min(terms - first);
        let (words, rest) = bytes.split_at(count.div_ceil(INT8.terms));
        let (pairs, factors) = out.split_at_mut(count.div_ceil(INT16.terms));
        for (words, pairs) in words.iter().zip(pairs.chunks_mut(INT8.terms / INT16.terms)) {
            for (half, pair) in pairs.iter_mut().enumerate() {
                let left = 16 - 16 * half as u32;
                *pair = words.map(|word| {
                    let word = word.to_bits();
                    f32::from_bits(widened(word, left + 8) | widened(word, left) << 16)
                });
            }
        }
        let (factors, after) = factors.split_at_mut(FACTORS);
        factors.copy_from_slice(&rest[..FACTORS]);
        (bytes, out) = (&rest[FACTORS..], after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widened_bytes_keep_their_values_and_factors() {
        const ROWS: usize = 6;
        for terms in [1, 2, 3, 4, 5, 127, 128, 130, 255, 256, 300] {
            let values: Vec<[f32; ROWS]> =
                (0..terms).map(|term| std::array::from_fn(|row| ((term * 31 + row * 7) % 23) as f32 - 11.5)).collect();
            let mut bytes = vec![[f32::NAN; ROWS]; INT8.words(terms)];
            INT8.convert(&values, &mut bytes);
            let mut pairs = vec![[f32::NAN; ROWS]; INT16.words(terms)];
            widen(&bytes, terms, &mut pairs);
            for term in 0..terms.next_multiple_of(2) {
                let (group, at) = (term / GROUP * GROUP, term % GROUP);
                for row in 0..ROWS {
                    let word =
                        |size: Size, words: &[[f32; ROWS]]| words[size.words(group) + at / size.terms][row].to_bits();
                    let (byte, pair) = (INT8.unpack(word(INT8, &bytes), at), INT16.unpack(word(INT16, &pairs), at));
                    assert_eq!(byte.to_bits(), pair.to_bits(), "{terms} terms, term {term}, row {row}");
                }
            }
            assert_eq!(bytes[INT8.words(terms) - FACTORS..], pairs[INT16.words(terms) - FACTORS..]);
        }
    }
}
