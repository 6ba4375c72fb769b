//! Instructions that multiply two or four values of fewer bits at once and add the products, which pulp does not have.

use pulp::Simd;

use super::groups::Size;

/// Adds the products of the values in each word to its sum.
pub(super) trait Dot<S: Simd>: Copy {
    /// The operations per word.
    const OPERATIONS: usize;

    fn add(self, simd: S, sums: S::u32s, values: S::u32s, weights: S::u32s) -> S::u32s;
}

/// Products of f32, for comparison.
#[derive(Clone, Copy)]
pub(super) struct Single;

impl<S: Simd> Dot<S> for Single {
    const OPERATIONS: usize = 2;

    #[inline(always)]
    fn add(self, simd: S, sums: S::u32s, values: S::u32s, weights: S::u32s) -> S::u32s {
        let (values, weights) = (simd.transmute_f32s_u32s(values), simd.transmute_f32s_u32s(weights));
        simd.transmute_u32s_f32s(simd.mul_add_e_f32s(values, weights, simd.transmute_f32s_u32s(sums)))
    }
}

/// Products of pairs of bf16 values, with sums in f32.
pub(super) trait PairDot<S: Simd>: Dot<S> {
    /// Rounds the values of two terms to the nearest bf16, and puts them side by side. Denormal numbers become zero.
    fn pair(self, simd: S, first: S::f32s, second: S::f32s) -> S::u32s;
}

/// Products of integers, with sums in integers.
pub(super) trait IntegerDot<S: Simd>: Dot<S> {
    /// The integers' size, and whether inputs have a sign.
    const SIZE: Size;

    /// Converts sums.
    fn to_f32(self, simd: S, sums: S::u32s) -> S::f32s;
}

/// Work that a machine with such instructions does.
pub(super) trait WithDots<S: Simd, D: Dot<S>> {
    type Output;

    fn with_dots(self, simd: S, dots: D) -> Self::Output;
}

/// Adds the products of a panel's rows and some vectors per word to sums in registers.
///
/// # Safety
///
/// `panel` has `ROWS` words, and `values` has `VECTORS` vectors of words, `count` times.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, D: Dot<S>, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    dots: D,
    mut panel: *const u32,
    mut values: *const S::u32s,
    count: usize,
    start: S::u32s,
) -> [[S::u32s; VECTORS]; ROWS] {
    let mut sums = [[start; VECTORS]; ROWS];
    for _ in 0..count {
        // SAFETY: the caller's guarantee; vectors are read unaligned.
        unsafe {
            let mut vectors = [start; VECTORS];
            for (j, vector) in vectors.iter_mut().enumerate() {
                *vector = values.add(j).read_unaligned();
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let weight = simd.splat_u32s(*panel.add(i));
                for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                    *sum = dots.add(simd, *sum, vector, weight);
                }
            }
            panel = panel.add(ROWS);
            values = values.add(VECTORS);
        }
    }
    sums
}

/// Repeats the instruction on registers alone. Returns the number of operations.
pub(super) struct Spin(pub(super) usize);

impl<S: Simd, D: Dot<S>> WithDots<S, D> for Spin {
    type Output = usize;

    #[inline(always)]
    fn with_dots(self, simd: S, dots: D) -> usize {
        // More sums than the latency in instructions, and registers for all of them.
        const SUMS: usize = 12;
        let [values, weights] = std::hint::black_box([simd.splat_u32s(0); 2]);
        let mut sums = [values; SUMS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = dots.add(simd, *sum, values, weights);
            }
        }
        std::hint::black_box(sums);
        self.0 * SUMS * S::F32_LANES * D::OPERATIONS
    }
}

/// Defines the proof that the machine has an instruction, how to detect it, and how to compile work with it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! instruction {
    ($(#[$doc:meta])* $Dots:ident, $arch:path, $S:ty, $feature:tt, $($vectors:tt),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $Dots($S);

        impl $Dots {
            /// Returns the proof, unless the instruction is missing or not to be used.
            #[inline]
            pub(crate) fn detect() -> Option<Self> {
                let level = level();
                let $arch(simd) = level.arch else { return None };
                (level.fewer_bits && detected!($feature)).then_some(Self(simd))
            }

            /// Runs work, compiled with the instruction.
            pub(crate) fn vectorize<Op: WithDots<$S, Self>>(self, op: Op) -> Op::Output {
                #[target_feature($(enable = $vectors),+, enable = $feature)]
                fn inner<Op: WithDots<$S, $Dots>>(dots: $Dots, op: Op) -> Op::Output {
                    op.with_dots(dots.0, dots)
                }
                // SAFETY: the machine has the instructions.
                unsafe { inner(self, op) }
            }
        }
    };
}

#[cfg(target_arch = "aarch64")]
pub(super) use self::neon::{NeonBf16, NeonInt8};
#[cfg(target_arch = "x86_64")]
pub(super) use self::x86::{Avx2Int16, Avx512Bf16, Avx512Int8, Avx512Int16, AvxInt8, AvxInt16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m256i, __m512, __m512bh, __m512i, _mm256_add_epi32, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32,
        _mm256_dpwssd_avx_epi32, _mm256_madd_epi16, _mm512_cvtepi32_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
        _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_permutexvar_epi16,
    };
    use std::is_x86_feature_detected as detected;
    use std::mem::transmute;

    use pulp::x86::{V3, V4};
    use pulp::{Arch, f32x8, f32x16, u32x8, u32x16};

    use super::{Dot, IntegerDot, PairDot, WithDots};
    use crate::gemm::groups::{INT8, INT16, Size};
    use crate::simd::level;

    instruction!(
        /// AVX512-BF16.
        Avx512Bf16, Arch::V4, V4, "avx512bf16", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"
    );
    instruction!(
        /// AVX512-VNNI on bytes.
        Avx512Int8, Arch::V4, V4, "avx512vnni", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"
    );
    instruction!(
        /// AVX512-VNNI on 16 bits.
        Avx512Int16, Arch::V4, V4, "avx512vnni", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"
    );
    instruction!(
        /// AVX-VNNI on bytes.
        AvxInt8, Arch::V3, V3, "avxvnni", "avx2", "fma", "bmi1", "bmi2", "lzcnt"
    );
    instruction!(
        /// AVX-VNNI on 16 bits.
        AvxInt16, Arch::V3, V3, "avxvnni", "avx2", "fma", "bmi1", "bmi2", "lzcnt"
    );
    instruction!(
        /// AVX2 on 16 bits: one instruction for the products of pairs and one for the sum.
        Avx2Int16, Arch::V3, V3, "avx2", "fma", "bmi1", "bmi2", "lzcnt"
    );

    impl Avx2Int16 {
        /// Returns the proof if the machine has nothing better and this is faster than f32: if it executes two of these
        /// products per cycle, as many as of f32, beside the sums. Zen 3 does, and is told from older processors by VAES.
        pub(crate) fn detect_fast() -> Option<Self> {
            let is_best = || is_x86_feature_detected!("vaes") && !is_x86_feature_detected!("avxvnni");
            Self::detect().filter(|_| level().slow || is_best())
        }
    }

    /// The products of pairs, added to sums.
    ///
    /// # Safety
    ///
    /// The machine has AVX2.
    #[inline(always)]
    unsafe fn madd(sums: __m256i, values: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: the caller's guarantee.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(values, weights)) }
    }

    impl Avx512Bf16 {
        /// Returns the proof if the instruction is faster than f32. On a Xeon of 2023 it has less than half of the rate of
        /// f32; such processors (Intel's since Sapphire Rapids) have AVX512-FP16, and those with a fast one do not.
        pub(crate) fn detect_fast() -> Option<Self> {
            Self::detect().filter(|_| level().slow || !is_x86_feature_detected!("avx512fp16"))
        }
    }

    /// Takes the halves of two vectors by turns.
    const BY_TURNS: [u16; 32] = {
        let mut order = [0; 32];
        let mut i = 0;
        while i < 32 {
            order[i as usize] = i / 2 + i % 2 * 16;
            i += 1;
        }
        order
    };

    impl Dot<V4> for Avx512Bf16 {
        const OPERATIONS: usize = 4;

        #[inline(always)]
        fn add(self, _: V4, sums: u32x16, pairs: u32x16, weights: u32x16) -> u32x16 {
            // SAFETY: the machine has the instruction, and all types are 64 bytes without padding.
            unsafe {
                let sums = transmute::<u32x16, __m512>(sums);
                let pairs = transmute::<u32x16, __m512bh>(pairs);
                let weights = transmute::<u32x16, __m512bh>(weights);
                transmute::<__m512, u32x16>(_mm512_dpbf16_ps(sums, pairs, weights))
            }
        }
    }

    impl PairDot<V4> for Avx512Bf16 {
        #[inline(always)]
        fn pair(self, _: V4, first: f32x16, second: f32x16) -> u32x16 {
            // SAFETY: as above.
            unsafe {
                let first = transmute::<f32x16, __m512>(first);
                let second = transmute::<f32x16, __m512>(second);
                let halves = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
                let order = transmute::<[u16; 32], __m512i>(BY_TURNS);
                transmute::<__m512i, u32x16>(_mm512_permutexvar_epi16(order, halves))
            }
        }
    }

    /// Implements products of integers.
    macro_rules! integers {
        ($Dots:ident, $S:ty, $size:ident, $words:ident, $values:ident, $vector:ident, $floats:ident, $add:ident, $convert:ident) => {
            impl Dot<$S> for $Dots {
                const OPERATIONS: usize = 2 * $size.terms;

                #[inline(always)]
                fn add(self, _: $S, sums: $words, values: $words, weights: $words) -> $words {
                    // SAFETY: the machine has the instruction, and all types have equal sizes and no padding.
                    unsafe {
                        let sums = transmute::<$words, $vector>(sums);
                        let values = transmute::<$words, $vector>(values);
                        let weights = transmute::<$words, $vector>(weights);
                        transmute::<$vector, $words>($add(sums, values, weights))
                    }
                }
            }

            impl IntegerDot<$S> for $Dots {
                const SIZE: Size = $size;

                #[inline(always)]
                fn to_f32(self, _: $S, sums: $words) -> $values {
                    // SAFETY: as above.
                    unsafe { transmute::<$floats, $values>($convert(transmute::<$words, $vector>(sums))) }
                }
            }
        };
    }

    integers!(Avx512Int8, V4, INT8, u32x16, f32x16, __m512i, __m512, _mm512_dpbusd_epi32, _mm512_cvtepi32_ps);
    integers!(Avx512Int16, V4, INT16, u32x16, f32x16, __m512i, __m512, _mm512_dpwssd_epi32, _mm512_cvtepi32_ps);
    integers!(AvxInt8, V3, INT8, u32x8, f32x8, __m256i, __m256, _mm256_dpbusd_avx_epi32, _mm256_cvtepi32_ps);
    integers!(AvxInt16, V3, INT16, u32x8, f32x8, __m256i, __m256, _mm256_dpwssd_avx_epi32, _mm256_cvtepi32_ps);
    integers!(Avx2Int16, V3, INT16, u32x8, f32x8, __m256i, __m256, madd, _mm256_cvtepi32_ps);
}

#[cfg(target_arch = "aarch64")]
mod neon {
    //! BFDOT and SDOT work on the words of [`Dot`]. The matrix forms, BFMMLA and SMMLA, multiply twice as many values per
    //! instruction, but by 2 × 2 tiles, which needs another layout of weights, inputs and sums. The intrinsics are unstable.

    use std::arch::aarch64::{float32x4_t, int32x4_t, uint32x4_t, vcvtq_f32_s32};
    use std::arch::{asm, is_aarch64_feature_detected as detected};
    use std::mem::transmute;

    use pulp::aarch64::Neon;
    use pulp::{Arch, f32x4, u32x4};

    use super::{Dot, IntegerDot, PairDot, WithDots};
    use crate::gemm::groups::{SIGNED_INT8, Size};
    use crate::simd::level;

    instruction!(
        /// BFDOT.
        NeonBf16, Arch::Neon, Neon, "bf16", "neon"
    );
    instruction!(
        /// SDOT. Every machine with USDOT has it, too, but not the reverse.
        NeonInt8, Arch::Neon, Neon, "dotprod", "neon"
    );

    /// Implements the sum of products.
    macro_rules! dot {
        ($Dots:ident, $operations:expr, $instruction:literal) => {
            impl Dot<Neon> for $Dots {
                const OPERATIONS: usize = $operations;

                #[inline(always)]
                fn add(self, _: Neon, sums: u32x4, values: u32x4, weights: u32x4) -> u32x4 {
                    // SAFETY: the machine has the instruction, and all types are 16 bytes without padding.
                    unsafe {
                        let mut sums = transmute::<u32x4, uint32x4_t>(sums);
                        asm!(
                            $instruction,
                            sums = inout(vreg) sums,
                            values = in(vreg) transmute::<u32x4, uint32x4_t>(values),
                            weights = in(vreg) transmute::<u32x4, uint32x4_t>(weights),
                            options(pure, nomem, nostack, preserves_flags),
                        );
                        transmute::<uint32x4_t, u32x4>(sums)
                    }
                }
            }
        };
    }

    dot!(NeonBf16, 4, "bfdot {sums:v}.4s, {values:v}.8h, {weights:v}.8h");
    dot!(NeonInt8, 8, "sdot {sums:v}.4s, {values:v}.16b, {weights:v}.16b");

    impl PairDot<Neon> for NeonBf16 {
        #[inline(always)]
        fn pair(self, _: Neon, first: f32x4, second: f32x4) -> u32x4 {
            // SAFETY: as above.
            unsafe {
                let mut words = transmute::<f32x4, uint32x4_t>(first);
                // Denormal numbers become zero in BFDOT.
                asm!(
                    "bfcvtn {words:v}.4h, {words:v}.4s",
                    "bfcvtn {second:v}.4h, {second:v}.4s",
                    "zip1 {words:v}.8h, {words:v}.8h, {second:v}.8h",
                    words = inout(vreg) words,
                    second = inout(vreg) transmute::<f32x4, uint32x4_t>(second) => _,
                    options(pure, nomem, nostack, preserves_flags),
                );
                transmute::<uint32x4_t, u32x4>(words)
            }
        }
    }

    impl IntegerDot<Neon> for NeonInt8 {
        const SIZE: Size = SIGNED_INT8;

        #[inline(always)]
        fn to_f32(self, _: Neon, sums: u32x4) -> f32x4 {
            // SAFETY: as above.
            unsafe { transmute::<float32x4_t, f32x4>(vcvtq_f32_s32(transmute::<u32x4, int32x4_t>(sums))) }
        }
    }
}
