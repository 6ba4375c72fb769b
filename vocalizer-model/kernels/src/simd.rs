//! Detects the CPU's vector instructions at run time, and implements the functions that the network applies to each
//! value.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Runs `op` with the widest vectors of this machine.
///
/// `VOCALIZER_SIMD` (`avx2` or `scalar`) limits the instructions, for comparisons.
#[inline]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    arch().dispatch(op)
}

fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(|| match std::env::var("VOCALIZER_SIMD").as_deref() {
        Ok("scalar") => Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        Ok("avx2") => pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3),
        _ => Arch::new(),
    })
}

/// Returns the name of the vector instructions in use.
pub fn name() -> &'static str {
    match arch() {
        Arch::Scalar => "scalar",
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => "avx2",
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => "avx512",
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(_) => "neon",
        _ => "other",
    }
}

/// Returns the larger value; NaN if `x` is NaN.
#[inline(always)]
pub(crate) fn at_least<S: Simd>(simd: S, least: S::f32s, x: S::f32s) -> S::f32s {
    // The vector instructions return the second operand if one is NaN; the scalar operation drops NaN.
    if S::F32_LANES > 1 { simd.max_f32s(least, x) } else { simd.select_f32s(simd.less_than_f32s(x, least), least, x) }
}

/// Returns the smaller value; NaN if `x` is NaN.
#[inline(always)]
fn at_most<S: Simd>(simd: S, most: S::f32s, x: S::f32s) -> S::f32s {
    if S::F32_LANES > 1 { simd.min_f32s(most, x) } else { simd.select_f32s(simd.greater_than_f32s(x, most), most, x) }
}

/// Computes e to the power of each value: within two units in the last place, 1e-38 below -87.3, NaN for NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts; the first has so few bits that its multiples are exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let splat = |v| simd.splat_f32s(v);
    let clamped = at_most(simd, splat(88.3), at_least(simd, splat(-87.3), x));
    let shifted = simd.mul_add_e_f32s(clamped, splat(LOG2_E), splat(ROUND));
    let whole = simd.sub_f32s(shifted, splat(ROUND));
    let r = simd.mul_add_e_f32s(whole, splat(-LN2_HIGH), clamped);
    let r = simd.mul_add_e_f32s(whole, splat(-LN2_LOW), r);
    // Taylor polynomial; for |r| <= ln 2 / 2 its remainder is below a unit in the last place.
    let mut p = splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = simd.mul_add_e_f32s(p, r, splat(c));
    }
    // Multiplies by two to the power of the integer, by adding it to the exponent.
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), exponent))
}

/// Computes 1 / (1 + e^-x) for each value.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// Computes the exact GELU, x · (1 + erf(x / √2)) / 2.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |v| simd.splat_f32s(v);
    let half = simd.mul_f32s(x, splat(0.5));
    let erf = erf(simd, simd.mul_f32s(x, splat(std::f32::consts::FRAC_1_SQRT_2)));
    simd.mul_add_e_f32s(half, erf, half)
}

/// Computes the error function, within 4e-7: x · P(x²) / Q(x²), fitted by reweighted least squares to |x| <= 3.92,
/// beyond which it equals one in f32.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const P: [f32; 6] = [
        2.034_734_4e-6,
        2.874_763_6e-4,
        3.868_245_8e-3,
        5.306_023_6e-2,
        0.192_762_32,
        std::f32::consts::FRAC_2_SQRT_PI,
    ];
    const Q: [f32; 6] = [3.807_047_3e-5, 1.188_092_9e-3, 1.517_213_7e-2, 0.115_083_89, 0.504_162_83, 1.0];
    let splat = |v| simd.splat_f32s(v);
    let x = simd.min_f32s(splat(3.92), simd.max_f32s(splat(-3.92), x));
    let square = simd.mul_f32s(x, x);
    let (mut p, mut q) = (splat(P[0]), splat(Q[0]));
    for i in 1..P.len() {
        p = simd.mul_add_e_f32s(p, square, splat(P[i]));
        q = simd.mul_add_e_f32s(q, square, splat(Q[i]));
    }
    simd.div_f32s(simd.mul_f32s(x, p), q)
}

/// Sets each value of `out` to an expression of itself and of the values at the same index of other slices:
/// `each!(simd: S, out => v, first => a, second => b; expression)`.
///
/// A macro, because a closure is compiled for the baseline CPU before it is inlined, and a large one is not inlined.
macro_rules! each {
    ($simd:ident: $S:ident, $out:expr => $v:tt $(, $other:expr => $w:ident)*; $body:expr) => {{
        let out: &mut [f32] = $out;
        $(assert_eq!(out.len(), $other.len());)*
        let (whole, tail) = $S::as_mut_simd_f32s(out);
        $(let $w = $S::as_simd_f32s(&$other[..]);)*
        {
            $(let $w = &$w.0[..whole.len()];)*
            for i in 0..whole.len() {
                let $v = whole[i];
                $(let $w = $w[i];)*
                whole[i] = $body;
            }
        }
        if !tail.is_empty() {
            // Padded with zeros.
            let $v = $simd.partial_load_f32s(tail);
            $(let $w = $simd.partial_load_f32s($w.1);)*
            let made = $body;
            $simd.partial_store_f32s(tail, made);
        }
    }};
}
pub(crate) use each;

/// Returns the sum of the values, or of their squared distances to `centre`.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, values: &[f32], centre: Option<f32>) -> f32 {
    let (whole, tail) = S::as_simd_f32s(values);
    let zero = simd.splat_f32s(0.0);
    let middle = simd.splat_f32s(centre.unwrap_or(0.0));
    let mut sums = [zero; 4];
    for (i, &v) in whole.iter().enumerate() {
        let sum = &mut sums[i % 4];
        let apart = simd.sub_f32s(v, middle);
        *sum = match centre {
            Some(_) => simd.mul_add_e_f32s(apart, apart, *sum),
            None => simd.add_f32s(apart, *sum),
        };
    }
    let [a, b, c, d] = sums;
    let total = simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)));
    let rest: f32 = match centre {
        Some(centre) => tail.iter().map(|v| (v - centre) * (v - centre)).sum(),
        None => tail.iter().sum(),
    };
    total + rest
}
