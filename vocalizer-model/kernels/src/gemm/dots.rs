//! Instructions that multiply two or four values of fewer bits at once and add the products, which pulp does not have.

use pulp::Simd;

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
        let [sums, values, weights] = [sums, values, weights].map(|words| simd.transmute_f32s_u32s(words));
        simd.transmute_u32s_f32s(simd.mul_add_e_f32s(values, weights, sums))
    }
}

/// Products of pairs of bf16 values, with sums in f32.
pub(super) trait PairDot<S: Simd>: Dot<S> {
    /// Rounds the values of two terms to the nearest bf16, and puts them side by side. Denormal numbers become zero.
    fn pair(self, simd: S, first: S::f32s, second: S::f32s) -> S::u32s;
}

/// Products of four unsigned bytes by four signed ones, with sums in integers.
pub(super) trait QuadDot<S: Simd>: Dot<S> {}

/// Work that a machine with such instructions does.
pub(super) trait WithDots<S: Simd, D: Dot<S>> {
    type Output;

    fn with_dots(self, simd: S, dots: D) -> Self::Output;
}

/// Returns the name of this machine's instructions for pairs.
pub(super) fn pairs() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if Avx512Bf16::detect().is_some() {
        return Some("avx512-bf16");
    }
    None
}

/// Returns the name of this machine's instructions for quads.
pub(super) fn quads() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if Avx512Vnni::detect().is_some() {
        return Some("avx512-vnni");
    }
    #[cfg(target_arch = "x86_64")]
    if AvxVnni::detect().is_some() {
        return Some("avx-vnni");
    }
    None
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

#[cfg(target_arch = "x86_64")]
pub(super) use self::x86::{Avx512Bf16, Avx512Vnni, AvxVnni};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_dpbusd_avx_epi32, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_permutexvar_epi16,
    };
    use std::mem::transmute;

    use pulp::x86::{V3, V4};
    use pulp::{Arch, f32x16, u32x8, u32x16};

    use super::{Dot, PairDot, QuadDot, WithDots};
    use crate::simd::level;

    /// Proof that the machine has AVX512-BF16.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512Bf16(V4);

    /// Proof that the machine has AVX512-VNNI.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512Vnni(V4);

    /// Proof that the machine has AVX-VNNI, and uses vectors of AVX2.
    #[derive(Clone, Copy)]
    pub(crate) struct AvxVnni(V3);

    /// Defines how to detect an instruction, and how to compile work with it.
    macro_rules! instruction {
        ($Dots:ident, $arch:path, $S:ty, $feature:tt, $($vectors:tt),+) => {
            impl $Dots {
                /// Returns the proof, unless the instruction is missing or not to be used.
                #[inline]
                pub(crate) fn detect() -> Option<Self> {
                    let level = level();
                    let $arch(simd) = level.arch else { return None };
                    (level.fewer_bits && is_x86_feature_detected!($feature)).then_some(Self(simd))
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

    instruction!(Avx512Bf16, Arch::V4, V4, "avx512bf16", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl");
    instruction!(Avx512Vnni, Arch::V4, V4, "avx512vnni", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl");
    instruction!(AvxVnni, Arch::V3, V3, "avxvnni", "avx2", "fma", "bmi1", "bmi2", "lzcnt");

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
            unsafe { transmute(_mm512_dpbf16_ps(transmute(sums), transmute(pairs), transmute(weights))) }
        }
    }

    impl PairDot<V4> for Avx512Bf16 {
        #[inline(always)]
        fn pair(self, _: V4, first: f32x16, second: f32x16) -> u32x16 {
            // SAFETY: as above.
            unsafe {
                let halves = transmute(_mm512_cvtne2ps_pbh(transmute(second), transmute(first)));
                transmute(_mm512_permutexvar_epi16(transmute(BY_TURNS), halves))
            }
        }
    }

    impl Dot<V4> for Avx512Vnni {
        const OPERATIONS: usize = 8;

        #[inline(always)]
        fn add(self, _: V4, sums: u32x16, quads: u32x16, weights: u32x16) -> u32x16 {
            // SAFETY: as above.
            unsafe { transmute(_mm512_dpbusd_epi32(transmute(sums), transmute(quads), transmute(weights))) }
        }
    }

    impl QuadDot<V4> for Avx512Vnni {}

    impl Dot<V3> for AvxVnni {
        const OPERATIONS: usize = 8;

        #[inline(always)]
        fn add(self, _: V3, sums: u32x8, quads: u32x8, weights: u32x8) -> u32x8 {
            // SAFETY: the machine has the instruction, and all types are 32 bytes without padding.
            unsafe { transmute(_mm256_dpbusd_avx_epi32(transmute(sums), transmute(quads), transmute(weights))) }
        }
    }

    impl QuadDot<V3> for AvxVnni {}
}
