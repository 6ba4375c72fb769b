//! The number formats of packed weights.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::dots;
use super::groups::{GROUP, INT8, INT16};
use super::padded_rows;

/// The number format in which packed weights are stored and multiplied. Sums are always f32, and so are the inputs and
/// outputs of every kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point with the exponent of f32. Machines without instructions for it multiply the weights as f32,
    /// by inputs that are not rounded; and so in the other formats.
    Bf16,
    /// Integers of 12 or 13 bits, stored in 16, with a scale for each group of terms.
    Int16,
    /// 8-bit integers with a scale for each group of terms. AVX2 alone multiplies them, by inputs of 13 bits, as [`Self::Int16`].
    Int8,
}

/// Values of bf16 per word.
pub(super) const PAIR: usize = 2;

/// A matrix with fewer rows or terms remains f32: to convert its input would take as long as the product.
const LEAST_ROWS: usize = 32;
const LEAST_TERMS: usize = 16;

impl Precision {
    /// All formats. Packed matrices of [`Self::fit`] with equal rows and terms have different lengths in each of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::Int16, Self::Int8];

    /// Returns the name of this machine's instructions for products in this precision; `None` if it has none that are
    /// faster than f32, so that fewer bits save memory, but not time.
    pub fn instructions(self) -> Option<&'static str> {
        match self {
            Self::F32 => Some(crate::simd::name()),
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 => dots::Avx512Bf16::detect_fast().map(|_| "avx512-bf16"),
            #[cfg(target_arch = "x86_64")]
            Self::Int16 | Self::Int8 => {
                let wide = dots::Avx512Int8::detect().map(|_| "avx512-vnni");
                let wide = wide.or_else(|| dots::Avx2Int16::detect_fast().map(|_| "avx2-int16"));
                wide.or_else(|| dots::AvxInt8::detect().map(|_| "avx-vnni"))
            }
            #[cfg(target_arch = "aarch64")]
            Self::Bf16 => dots::NeonBf16::detect().map(|_| "neon-bf16"),
            #[cfg(target_arch = "aarch64")]
            Self::Int8 => dots::NeonInt8::detect().map(|_| "neon-dotprod"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }

    /// Returns the precision in which a matrix is packed if this one is wanted.
    pub fn fit(self, rows: usize, terms: usize) -> Self {
        if rows < LEAST_ROWS || terms < LEAST_TERMS { Self::F32 } else { self }
    }

    /// Returns the length of a packed matrix if this precision is wanted.
    pub(crate) fn packed_len(self, rows: usize, terms: usize) -> usize {
        padded_rows(rows) * self.fit(rows, terms).words(terms)
    }

    /// Returns the words of 32 bits per row of a packed matrix.
    pub(super) fn words(self, terms: usize) -> usize {
        match self {
            Self::F32 => terms,
            Self::Bf16 => terms.div_ceil(PAIR),
            Self::Int16 => INT16.words(terms),
            Self::Int8 => INT8.words(terms),
        }
    }

    /// Returns the terms that are stored together.
    pub(super) fn group_terms(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => PAIR,
            Self::Int16 | Self::Int8 => GROUP,
        }
    }
}
