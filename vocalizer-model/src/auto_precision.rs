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
        Self::with(gemm::Precision::Int16.instructions())
    }

    /// Returns what it takes on a GPU.
    pub(crate) fn on_gpu() -> Self {
        Self { precision: Precision::F32, reason: "f16 and bf16 are less exact".to_owned() }
    }

    /// The rule for CPUs, by the name of their instructions for integers. bf16 is less exact than int16 and, where it is fast, as fast.
    fn with(integers: Option<&str>) -> Self {
        match integers {
            Some(name) => Self { precision: Precision::Int16, reason: name.to_uppercase() },
            None => Self { precision: Precision::F32, reason: "no fast integer instructions".to_owned() },
        }
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
        for (integers, precision, reason) in [
            (None, Precision::F32, "no fast integer instructions"),
            (Some("avx2-int16"), Precision::Int16, "AVX2-INT16"),
            (Some("avx-vnni"), Precision::Int16, "AVX-VNNI"),
            (Some("avx512-vnni"), Precision::Int16, "AVX512-VNNI"),
        ] {
            let expected = AutoPrecision { precision, reason: reason.to_owned() };
            assert_eq!(AutoPrecision::with(integers), expected, "{integers:?}");
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
