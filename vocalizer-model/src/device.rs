//! What there is to compute on, and how it is asked for.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// What to compute on, as asked for: `auto`, `cpu`, `wgpu`, `wgpu:1`, `wgpu:0,2`, `wgpu:all`, and the same with `cuda`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The first that is there and passes its check: a card through CUDA, a card through wgpu, the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Cards through one of their interfaces.
    Gpu(Interface, Cards),
}

/// How a card is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interface {
    /// Vulkan, Metal or DirectX 12, whatever the system has.
    Wgpu,
    /// CUDA.
    Cuda,
}

/// Which cards of an interface, by their places in [`devices`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cards {
    /// The first that is not software.
    First,
    /// All that are not software.
    All,
    /// These.
    These(Vec<usize>),
}

/// The numbers a network computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits where values lie in memory, 32 in sums: on cards alone, half the memory for values, and less exact.
    F16,
    /// The same with fewer digits and a larger range: on cards that have it.
    Bf16,
}

/// What to compute on, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ComputeOptions {
    /// On what.
    pub device: DeviceChoice,
    /// With which numbers.
    pub precision: Precision,
    /// Segments at once on each card; as many as fit, up to eight, where nothing is said. The CPU takes one.
    pub batch: Option<usize>,
}

impl ComputeOptions {
    /// On this.
    #[must_use]
    pub fn with_device(self, device: DeviceChoice) -> Self {
        Self { device, ..self }
    }

    /// With these numbers.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// With so many segments at once on each card, or as many as fit.
    #[must_use]
    pub fn with_batch(self, batch: Option<usize>) -> Self {
        Self { batch, ..self }
    }
}

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// How it is asked for: `cpu`, `cuda:0`, `wgpu:1`.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Whether it is a driver's software and not a card; such a one is taken only where it is asked for by its number.
    pub is_software: bool,
    /// Memory of its own, in bytes, where that can be told.
    pub memory_bytes: Option<u64>,
}

/// Every device that this build can compute on: the CPU, then cards, CUDA's first. It opens each of them.
pub fn devices() -> Vec<DeviceInfo> {
    let cpu = DeviceInfo { id: "cpu".into(), name: cpu_name(), is_software: false, memory_bytes: None };
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    let cards = crate::cards::devices();
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    let cards = Vec::new();
    std::iter::once(cpu).chain(cards).collect()
}

/// The interfaces this build has, by the names of its features.
pub fn interfaces() -> &'static [Interface] {
    match (cfg!(feature = "cuda"), cfg!(feature = "wgpu")) {
        (true, true) => &[Interface::Cuda, Interface::Wgpu],
        (true, false) => &[Interface::Cuda],
        (false, true) => &[Interface::Wgpu],
        (false, false) => &[],
    }
}

pub(crate) fn cpu_name() -> String {
    let threads = rayon::current_num_threads();
    format!("CPU, {} in {threads} thread{}", crate::ops::simd_name(), if threads == 1 { "" } else { "s" })
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
            Self::Gpu(interface, Cards::First) => write!(f, "{interface}"),
            Self::Gpu(interface, Cards::All) => write!(f, "{interface}:all"),
            Self::Gpu(interface, Cards::These(cards)) => {
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
            let what = "expected auto, cpu, wgpu or cuda; with cards as in cuda:1, cuda:0,2 or cuda:all";
            Error::Options(format!("there is no device '{}': {what}", text.escape_debug()))
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
            None => Cards::First,
            Some("all") => Cards::All,
            Some(list) => {
                let cards = list.split(',').map(|card| card.parse().map_err(|_| wrong()));
                let cards = cards.collect::<Result<Vec<usize>, _>>()?;
                if (1..cards.len()).any(|i| cards[..i].contains(&cards[i])) {
                    return Err(Error::Options(format!("the devices {text} name a card twice")));
                }
                Cards::These(cards)
            }
        };
        Ok(Self::Gpu(interface, cards))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::Options(format!(
                "there is no precision '{}': expected f32, f16 or bf16",
                text.escape_debug()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "wgpu", "wgpu:0", "wgpu:all", "cuda", "cuda:1", "cuda:0,2,1", "cuda:all"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in
            ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1,", "cpu:0", "auto:1", "CUDA", "cuda:1:2", "wgpu:0,0"]
        {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("expected") || error.contains("twice"), "{text}: {error}");
        }
        for text in ["f32", "f16", "bf16"] {
            assert_eq!(text.parse::<Precision>().unwrap().to_string(), text);
        }
        assert!("f64".parse::<Precision>().is_err());
    }

    #[test]
    fn the_cpu_is_always_there() {
        let devices = devices();
        assert_eq!(devices[0].id, "cpu");
        for (i, device) in devices.iter().enumerate().skip(1) {
            println!("{device:?}");
            assert!(devices[..i].iter().all(|other| other.id != device.id));
        }
    }
}
