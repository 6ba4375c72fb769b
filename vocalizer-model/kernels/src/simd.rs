//! Detects the CPU's vector instructions at run time, and implements the functions that the network applies to each
//! value.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Runs `op` with the widest vectors of this machine.
///
/// `VOCALIZER_SIMD` (`avx512`, `avxvnni`, `avx2`, `neon` or `scalar`) limits the instructions, for comparisons; `avx512bf16`
/// and `avx2int16` use these even where they are slow.
#[inline]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    level().arch.dispatch(op)
}

/// The instructions in use.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    /// The widest vectors.
    pub(crate) arch: Arch,
    /// Whether the instructions for fewer bits may be used where the machine has them.
    pub(crate) fewer_bits: bool,
    /// Whether they are used even if they are slower than others.
    #[cfg(target_arch = "x86_64")]
    pub(crate) slow: bool,
}

pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let name = std::env::var("VOCALIZER_SIMD");
        let (arch, fewer_bits) = match name.as_deref() {
            Ok("scalar") => (Arch::Scalar, false),
            #[cfg(target_arch = "x86_64")]
            Ok(name @ ("avx2" | "avx2int16" | "avxvnni")) => {
                (pulp::x86::V3::try_new().map_or(Arch::Scalar, Arch::V3), name != "avx2")
            }
            Ok("avx512" | "neon") => (Arch::new(), false),
            _ => (Arch::new(), true),
        };
        Level {
            arch,
            fewer_bits,
            #[cfg(target_arch = "x86_64")]
            slow: matches!(name.as_deref(), Ok("avx512bf16" | "avx2int16")),
        }
    })
}

/// Returns the name of the vector instructions in use.
pub fn name() -> &'static str {
    match level().arch {
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

/// ln 2 in two parts; the first has so few bits that its multiples are exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding it leaves the nearest integer in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// Computes e to the power of each value: within two units in the last place, 1e-38 below -87.3, NaN for NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
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

/// Computes 2 to the power of each value, for values between -126 and 126; NaN for NaN. The polynomial of the fraction
/// has the least relative error, 7.5e-8; with rounding, the result is within 2.2e-7.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |v| simd.splat_f32s(v);
    let shifted = simd.add_f32s(x, splat(ROUND));
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, splat(ROUND)));
    let mut p = splat(1.327_647_2e-3);
    for c in [9.675_541e-3, 5.550_713_3e-2, 0.240_221_2, 0.693_146_97, 1.0] {
        p = simd.mul_add_e_f32s(p, r, splat(c));
    }
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), exponent))
}

/// Computes the hyperbolic tangent of each value, within 4e-7 of the result, as t / (t + 2) with t = e^2x - 1.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |v| simd.splat_f32s(v);
    // In f32 the result is 1 from 9.02 on.
    let clamped = at_most(simd, splat(9.1), at_least(simd, splat(-9.1), x));
    let x = simd.add_f32s(clamped, clamped);
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let whole = simd.sub_f32s(shifted, splat(ROUND));
    let r = simd.mul_add_e_f32s(whole, splat(-LN2_HIGH), x);
    let r = simd.mul_add_e_f32s(whole, splat(-LN2_LOW), r);
    // The Taylor polynomial of e^r - 1.
    let mut p = splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
        p = simd.mul_add_e_f32s(p, r, splat(c));
    }
    let p = simd.mul_f32s(p, r);
    // Two to the power of the integer: its bits are the integer's, added to those of one.
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(splat(1.0)), exponent));
    let t = simd.mul_add_e_f32s(p, power, simd.sub_f32s(power, splat(1.0)));
    simd.div_f32s(t, simd.add_f32s(t, splat(2.0)))
}

/// Computes 1 / (1 + e^-x) for each value.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// Computes sigmoid(x) · tanh(y) for each value, with one division.
#[inline(always)]
pub(crate) fn sigmoid_tanh<S: Simd>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    let splat = |v| simd.splat_f32s(v);
    // Beyond 15, tanh is one in f32; the bound keeps the product of the divisors finite wherever the result is not tiny.
    let y = at_most(simd, splat(15.0), at_least(simd, splat(-15.0), y));
    let e = exp(simd, simd.mul_f32s(y, splat(-2.0)));
    let divisor = simd.add_f32s(splat(1.0), exp(simd, simd.neg_f32s(x)));
    let divisor = simd.mul_add_e_f32s(divisor, e, divisor);
    simd.div_f32s(simd.sub_f32s(splat(1.0), e), divisor)
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

#[cfg(test)]
mod tests {
    use super::*;

    enum Function {
        Exp2,
        Tanh,
    }

    struct Apply<'a>(Function, &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            match self.0 {
                Function::Exp2 => each!(simd: S, self.1 => v; exp2(simd, v)),
                Function::Tanh => each!(simd: S, self.1 => v; tanh(simd, v)),
            }
        }
    }

    fn worst(function: Function, range: std::ops::Range<f32>, exact: fn(f64) -> f64) -> f64 {
        let steps = 200_003;
        let x: Vec<f32> =
            (0..steps).map(|i| range.start + (range.end - range.start) * i as f32 / steps as f32).collect();
        let mut y = x.clone();
        dispatch(Apply(function, &mut y));
        let error = |(&x, &y): (&f32, &f32)| {
            let exact = exact(f64::from(x));
            (f64::from(y) - exact).abs() / exact.abs().max(1e-30)
        };
        x.iter().zip(&y).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn exp2_is_exact_to_rounding() {
        assert!(worst(Function::Exp2, -86.0..1.0, f64::exp2) < 2.5e-7);
        assert!(worst(Function::Exp2, -126.0..126.0, f64::exp2) < 2.5e-7);
    }

    #[test]
    fn tanh_is_exact_to_rounding() {
        assert!(worst(Function::Tanh, -12.0..12.0, f64::tanh) < 4e-7);
        assert!(worst(Function::Tanh, -0.01..0.01, f64::tanh) < 4e-7);
        let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, 1e-30];
        dispatch(Apply(Function::Tanh, &mut special));
        assert!(special[0].is_nan());
        assert_eq!(special[1..], [1.0, -1.0, 0.0, 1e-30]);
    }
}
