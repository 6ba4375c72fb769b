//! Devices, and the options that select them.

use std::fmt;
use std::str::FromStr;

use vocalizer_core::part::Stem;

use crate::Error;

/// The device to compute on. As text: `auto`, `cpu`, `wgpu`, `wgpu:1`, `wgpu:0,2`, `wgpu:all`, and the same with
/// `cuda`.
///
/// ```
/// use vocalizer_model::{DeviceChoice, GpuSelection, Interface};
///
/// let second_card: DeviceChoice = "cuda:1".parse().unwrap();
/// assert_eq!(second_card, DeviceChoice::Gpu(Interface::Cuda, GpuSelection::These(vec![1])));
/// assert!("cuda:first".parse::<DeviceChoice>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The first device that exists and passes its check: a GPU through CUDA, a GPU through wgpu, the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// GPUs through one interface.
    Gpu(Interface, GpuSelection),
}

/// The programming interface of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interface {
    /// Vulkan, Metal or DirectX 12, depending on the system.
    Wgpu,
    /// CUDA.
    Cuda,
}

/// A selection of an interface's GPUs, by index in [`devices`](crate::devices).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GpuSelection {
    /// The first GPU that is not a software implementation.
    First,
    /// All GPUs that are not software implementations.
    All,
    /// The GPUs with these indices.
    These(Vec<usize>),
}

/// The number format that a network computes in. As text: `auto`, `f32`, `f16`, `bf16`, `int16`, `int8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// On the CPU [`Precision::Int16`] if it has fast instructions for it, else [`Precision::F32`], as on GPUs.
    /// [`devices`](crate::devices) says what each device takes, [`Model::precision`](crate::Model::precision) what a model computes in.
    Auto,
    /// 16-bit floats in memory, sums in 32 bits. GPUs only; half the memory for values, less exact.
    F16,
    /// 16-bit floats with fewer digits than [`Precision::F16`] and a larger range. On GPUs that support it, as `F16`. On the CPU,
    /// matrices have half the size and are multiplied in 16 bits, where the processor has fast instructions for it (AVX512-BF16
    /// of AMD); everything else remains in 32 bits.
    Bf16,
    /// Integers of 12 and 13 bits with scales, for the matrices and their inputs; everything else remains in 32 bits. CPU only.
    /// As fast as [`Precision::Bf16`] at best, on more processors (AVX512-VNNI, AVX-VNNI, AVX2 of Zen 3), and more exact.
    Int16,
    /// As [`Precision::Int16`] with 8 bits: faster, except with AVX2 alone, and less exact.
    Int8,
}

/// The device, precision, batch size and stems of a model.
///
/// ```
/// use vocalizer_model::{ComputeOptions, Precision};
///
/// # fn main() -> Result<(), vocalizer_model::Error> {
/// let all_cards = ComputeOptions::default().with_device("wgpu:all".parse()?).with_batch(Some(4));
/// assert_eq!(all_cards.device.to_string(), "wgpu:all");
/// assert_eq!(all_cards.precision, Precision::F32);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ComputeOptions {
    /// The device.
    pub device: DeviceChoice,
    /// The number format.
    pub precision: Precision,
    /// Segments per batch on each GPU. `None` takes as many as fit, up to eight. The CPU always takes one.
    pub batch: Option<usize>,
    /// The stems to load; empty for all stems.
    pub stems: Vec<Stem>,
}

impl ComputeOptions {
    /// Sets the device.
    #[must_use]
    pub fn with_device(self, device: DeviceChoice) -> Self {
        Self { device, ..self }
    }

    /// Sets the precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Sets the number of segments per batch on each GPU; `None` takes as many as fit.
    #[must_use]
    pub fn with_batch(self, batch: Option<usize>) -> Self {
        Self { batch, ..self }
    }

    /// Loads the model for these stems only; an empty list means all stems. Other stems cannot be separated with it, and
    /// [`Model::sources`](crate::Model::sources) has only these, in the model's order.
    ///
    /// A RoFormer has a part for each stem, and reads, keeps and runs only those it needs. HTDemucs and SCNet compute all
    /// stems at once, so they take as much memory as with all stems.
    ///
    /// ```no_run
    /// use vocalizer_model::{ComputeOptions, Model, Stem};
    ///
    /// # fn main() -> Result<(), vocalizer_model::Error> {
    /// let compute = ComputeOptions::default().with_stems(&[Stem::VOCALS]);
    /// let model = Model::from_file("mega-53.safetensors".as_ref(), &compute)?;
    /// assert_eq!(model.sources(), [Stem::VOCALS]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_stems(self, stems: &[Stem]) -> Self {
        Self { stems: stems.to_vec(), ..self }
    }

    /// Returns the precisions that a model with these options may compute in on this machine, without loading one. They are two if
    /// it depends on the check of a GPU which device is used, and [`Precision::Auto`] takes another one there than on the CPU.
    ///
    /// ```
    /// use vocalizer_model::{ComputeOptions, Precision};
    ///
    /// let compute = ComputeOptions::default().with_precision(Precision::Auto);
    /// assert!(!compute.precisions().contains(&Precision::Auto));
    /// ```
    #[must_use]
    pub fn precisions(&self) -> Vec<Precision> {
        let (on_cpu, on_gpu) = (self.precision.on_cpu(), self.precision.on_gpu());
        match self.device {
            DeviceChoice::Gpu(..) => vec![on_gpu],
            DeviceChoice::Auto if on_gpu != on_cpu && !interfaces().is_empty() => vec![on_gpu, on_cpu],
            DeviceChoice::Auto | DeviceChoice::Cpu => vec![on_cpu],
        }
    }
}

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The id that selects it: `cpu`, `cuda:0`, `wgpu:1`.
    pub id: String,
    /// The name that the driver reports.
    pub name: String,
    /// Whether a driver implements it in software. Such a device is used only when its index is given.
    pub is_software: bool,
    /// Size of the device's own memory in bytes, if known.
    pub memory_bytes: Option<u64>,
    /// The precision that [`Precision::Auto`] takes on it.
    pub auto_precision: Precision,
    /// Why it takes this one, as a short phrase: `AVX512-VNNI`.
    pub auto_reason: String,
}

/// Returns the interfaces that this build supports.
pub fn interfaces() -> &'static [Interface] {
    match (cfg!(feature = "cuda"), cfg!(feature = "wgpu")) {
        (true, true) => &[Interface::Cuda, Interface::Wgpu],
        (true, false) => &[Interface::Cuda],
        (false, true) => &[Interface::Wgpu],
        (false, false) => &[],
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(interface, GpuSelection::First) => write!(f, "{interface}"),
            Self::Gpu(interface, GpuSelection::All) => write!(f, "{interface}:all"),
            Self::Gpu(interface, GpuSelection::These(cards)) => {
                let cards: Vec<_> = cards.iter().map(ToString::to_string).collect();
                write!(f, "{interface}:{}", cards.join(","))
            }
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let what = "expected auto, cpu, wgpu or cuda, or GPU indices as in cuda:1, cuda:0,2 or cuda:all";
            Error::Options(format!("unknown device '{}': {what}", text.escape_debug()))
        };
        let (name, cards) = text.split_once(':').map_or((text, None), |(name, cards)| (name, Some(cards)));
        let interface = match name {
            "auto" if cards.is_none() => return Ok(Self::Auto),
            "cpu" if cards.is_none() => return Ok(Self::Cpu),
            "wgpu" => Interface::Wgpu,
            "cuda" => Interface::Cuda,
            _ => return Err(wrong()),
        };
        let cards = match cards {
            None => GpuSelection::First,
            Some("all") => GpuSelection::All,
            Some(list) => {
                let cards = list.split(',').map(|card| card.parse().map_err(|_| wrong()));
                let cards = cards.collect::<Result<Vec<usize>, _>>()?;
                if (1..cards.len()).any(|i| cards[..i].contains(&cards[i])) {
                    return Err(Error::Options(format!(
                        "device list '{text}' names a GPU twice; list each index once"
                    )));
                }
                GpuSelection::These(cards)
            }
        };
        Ok(Self::Gpu(interface, cards))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Auto => "auto",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            "int16" => Ok(Self::Int16),
            "int8" => Ok(Self::Int8),
            _ => Err(Error::Options(format!(
                "unknown precision '{}': expected auto, f32, f16, bf16, int16 or int8",
                text.escape_debug()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_and_precision_round_trip_as_text() {
        for text in ["auto", "cpu", "wgpu", "wgpu:0", "wgpu:all", "cuda", "cuda:1", "cuda:0,2,1", "cuda:all"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in
            ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1,", "cpu:0", "auto:1", "CUDA", "cuda:1:2", "wgpu:0,0"]
        {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("expected") || error.contains("twice"), "{text}: {error}");
        }
        for text in ["auto", "f32", "f16", "bf16", "int16", "int8"] {
            assert_eq!(text.parse::<Precision>().unwrap().to_string(), text);
        }
        let error = "f64".parse::<Precision>().unwrap_err().to_string();
        assert!(error.ends_with("unknown precision 'f64': expected auto, f32, f16, bf16, int16 or int8"), "{error}");
    }

    #[test]
    fn possible_precisions_never_contain_auto() {
        let of = |device: &str, precision| {
            let compute = ComputeOptions::default().with_device(device.parse().unwrap());
            compute.with_precision(precision).precisions()
        };
        for device in ["auto", "cpu", "cuda:0"] {
            assert_eq!(of(device, Precision::Bf16), [Precision::Bf16], "{device}");
        }
        let [on_cpu, on_gpu] = [Precision::Auto.on_cpu(), Precision::Auto.on_gpu()];
        assert_eq!(of("cpu", Precision::Auto), [on_cpu]);
        assert_eq!(of("wgpu:all", Precision::Auto), [on_gpu]);
        let either = if interfaces().is_empty() || on_gpu == on_cpu { vec![on_cpu] } else { vec![on_gpu, on_cpu] };
        assert_eq!(of("auto", Precision::Auto), either);
    }
}
