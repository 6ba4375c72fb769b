//! What the precision `auto` takes.

use vocalizer_kernels::gemm;

use crate::device::Precision;

/// The precision that `auto` takes on a device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AutoPrecision {
    pub(crate) precision: Precision,
    /// The reason, as a short phrase.
    pub(crate) reason: String,
}

impl AutoPrecision {
    /// Returns what it takes on the CPU of this machine.
    pub(crate) fn on_cpu() -> Self {
        Self::with(gemm::Precision::Bf16.instructions(), gemm::Precision::Int16.instructions())
    }

    /// Returns what it takes on a GPU.
    pub(crate) fn on_gpu() -> Self {
        Self { precision: Precision::F32, reason: "f16 and bf16 are less exact".to_owned() }
    }

    /// The rule for CPUs, by the names of their instructions for bf16 and for integers. Instructions that are slower than those for
    /// f32 count as missing.
    fn with(bf16: Option<&str>, integers: Option<&str>) -> Self {
        let (precision, reason) = match (bf16, integers) {
            // More exact than bf16, and not slower.
            (_, Some(name)) => (Precision::Int16, name.to_uppercase()),
            (_, None) => (Precision::F32, "no VNNI instructions".to_owned()),
        };
        Self { precision, reason }
    }
}

impl Precision {
    /// Returns the precision on the CPU: what [`Self::Auto`] takes there, else this one.
    pub(crate) fn on_cpu(self) -> Self {
        if self == Self::Auto { AutoPrecision::on_cpu().precision } else { self }
    }

    /// Returns the precision on a GPU: what [`Self::Auto`] takes there, else this one.
    pub(crate) fn on_gpu(self) -> Self {
        if self == Self::Auto { AutoPrecision::on_gpu().precision } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_takes_int16_if_it_has_instructions_for_it() {
        for (bf16, integers, precision, reason) in [
            (None, None, Precision::F32, "no VNNI instructions"),
            (None, Some("avx-vnni"), Precision::Int16, "AVX-VNNI"),
            (None, Some("avx512-vnni"), Precision::Int16, "AVX512-VNNI"),
            (Some("avx512-bf16"), Some("avx512-vnni"), Precision::Int16, "AVX512-VNNI"),
            (Some("avx512-bf16"), None, Precision::F32, "no VNNI instructions"),
        ] {
            let expected = AutoPrecision { precision, reason: reason.to_owned() };
            assert_eq!(AutoPrecision::with(bf16, integers), expected, "{bf16:?}, {integers:?}");
        }
    }

    #[test]
    fn gpu_takes_f32() {
        assert_eq!(AutoPrecision::on_gpu().precision, Precision::F32);
    }

    #[test]
    fn only_auto_depends_on_the_device() {
        for precision in [Precision::F32, Precision::F16, Precision::Bf16, Precision::Int16, Precision::Int8] {
            assert_eq!((precision.on_cpu(), precision.on_gpu()), (precision, precision));
        }
        assert_eq!(Precision::Auto.on_cpu(), AutoPrecision::on_cpu().precision);
        assert_eq!(Precision::Auto.on_gpu(), AutoPrecision::on_gpu().precision);
    }
}
