//! Selects the devices of a model.

use vocalizer_kernels::gemm;

use crate::Error;
use crate::device::{ComputeOptions, DeviceChoice, Precision};
use crate::devices::cpu_name;
use crate::loaded_device::LoadedDevice;
use crate::network_file::NetworkFile;
use crate::weights::Cache;

/// The selected devices, with the networks loaded.
pub(crate) struct Chosen {
    pub(crate) cards: Vec<LoadedDevice>,
    /// The ids of the devices.
    pub(crate) device: String,
    /// The precision that they compute in, never [`Precision::Auto`].
    pub(crate) precision: Precision,
    /// Why these were selected, one sentence each.
    pub(crate) remarks: Vec<String>,
}

/// Loads the networks onto the requested devices. A GPU that is requested by name is used or fails; the CPU never
/// replaces it.
///
/// # Errors
///
/// [`Error::Device`] if a GPU does not exist, fails or computes wrong results; [`Error::Options`] if a device does not
/// support the options; [`Error::WeightsFile`] if a network lacks a tensor.
pub(crate) fn cards(files: &[NetworkFile], compute: &ComputeOptions, cache: Option<&Cache>) -> Result<Chosen, Error> {
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    let _ = cache;
    let is_of_integers = matches!(compute.precision, Precision::Int16 | Precision::Int8);
    match &compute.device {
        DeviceChoice::Gpu(..) if is_of_integers => {
            Err(Error::Options(format!("GPUs compute in f32, f16 or bf16, not in {}", compute.precision)))
        }
        DeviceChoice::Auto if is_of_integers => {
            cpu(files, compute, vec![format!("{} is for the CPU only", compute.precision)])
        }
        DeviceChoice::Cpu => cpu(files, compute, Vec::new()),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        DeviceChoice::Auto => gpus::auto(files, compute, cache),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        DeviceChoice::Gpu(interface, cards) => gpus::named(files, compute, cache, (*interface, cards)),
        #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
        DeviceChoice::Auto => cpu(files, compute, Vec::new()),
        #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
        DeviceChoice::Gpu(interface, _) => Err(not_built(*interface)),
    }
}

fn cpu(files: &[NetworkFile], compute: &ComputeOptions, mut remarks: Vec<String>) -> Result<Chosen, Error> {
    let precision = compute.precision.on_cpu();
    let packed = match precision {
        Precision::F32 | Precision::Auto => gemm::Precision::F32,
        Precision::Bf16 => gemm::Precision::Bf16,
        Precision::Int16 => gemm::Precision::Int16,
        Precision::Int8 => gemm::Precision::Int8,
        Precision::F16 => {
            let before = remarks.iter().map(|remark| format!("{remark}; ")).collect::<String>();
            return Err(Error::Options(format!("{before}the CPU computes in f32, bf16, int16 or int8, not in f16")));
        }
    };
    let mut card = LoadedDevice::cpu(packed);
    files.iter().try_for_each(|file| card.load(file))?;
    let instructions = match (precision, packed.instructions()) {
        (Precision::F32, _) => String::new(),
        (_, Some(name)) => format!(" ({name})"),
        (_, None) => ", for which it has no instructions: this saves memory, not time".to_owned(),
    };
    remarks.push(format!("computing on the {}, in {precision}{instructions}", cpu_name()));
    Ok(Chosen { cards: vec![card], device: "cpu".to_owned(), precision, remarks })
}

fn not_built(interface: crate::device::Interface) -> Error {
    let interface = interface.to_string();
    Error::device(&interface, &format!("this program was built without it; build it with the feature {interface}"))
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpus {
    use super::{Chosen, cpu, not_built};
    use crate::Error;
    use crate::check::{Probe, least_decibels};
    use crate::device::{ComputeOptions, GpuSelection, Interface, Precision, interfaces};
    use crate::gpus::{Gpu, found};
    use crate::loaded_device::LoadedDevice;
    use crate::network_file::NetworkFile;
    use crate::ops::kernels;
    use crate::weights::Cache;

    /// Selects the first GPU that passes its check, else the CPU.
    pub(super) fn auto(
        files: &[NetworkFile],
        compute: &ComputeOptions,
        cache: Option<&Cache>,
    ) -> Result<Chosen, Error> {
        let mut remarks = Vec::new();
        let mut probes = Probes { made: Vec::new(), cache };
        for &interface in interfaces() {
            let cards: Vec<_> = found(interface).into_iter().filter(|card| !card.is_software).collect();
            if cards.is_empty() {
                remarks.push(format!("no GPU found through {interface}"));
            }
            for card in cards {
                match open(&card, files, compute, &mut probes) {
                    Ok((card, remark)) => {
                        remarks.push(remark);
                        let (device, precision) = (card.id.clone(), compute.precision.on_gpu());
                        return Ok(Chosen { cards: vec![card], device, precision, remarks });
                    }
                    Err(error @ Error::Device { .. }) => remarks.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
        }
        cpu(files, compute, remarks)
    }

    /// Selects these GPUs; each must pass its check.
    pub(super) fn named(
        files: &[NetworkFile],
        compute: &ComputeOptions,
        cache: Option<&Cache>,
        (interface, cards): (Interface, &GpuSelection),
    ) -> Result<Chosen, Error> {
        if !interfaces().contains(&interface) {
            return Err(not_built(interface));
        }
        let found = found(interface);
        let missing = |device: &str| {
            let there: Vec<_> = found.iter().map(|card| card.id.as_str()).collect();
            let what = match interface {
                Interface::Cuda => "NVIDIA's driver and CUDA_VISIBLE_DEVICES",
                Interface::Wgpu => "the driver for Vulkan, Metal or DirectX 12",
            };
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            Error::device(device, &format!("no such device; check {what}; found: {there} (see 'vocalizer devices')"))
        };
        let hardware = || found.iter().filter(|card| !card.is_software);
        let wanted: Vec<&Gpu> = match cards {
            GpuSelection::First => hardware().take(1).collect(),
            GpuSelection::All => hardware().collect(),
            GpuSelection::These(indexes) => indexes
                .iter()
                .map(|&index| found.get(index).ok_or_else(|| missing(&format!("{interface}:{index}"))))
                .collect::<Result<_, _>>()?,
        };
        if wanted.is_empty() {
            return Err(missing(&interface.to_string()));
        }
        let mut probes = Probes { made: Vec::new(), cache };
        let (mut cards, mut remarks) = (Vec::new(), Vec::new());
        for gpu in wanted {
            let (card, remark) = open(gpu, files, compute, &mut probes)?;
            cards.push(card);
            remarks.push(remark);
        }
        let device = cards.iter().map(|card| card.id.as_str()).collect::<Vec<_>>().join(",");
        Ok(Chosen { cards, device, precision: compute.precision.on_gpu(), remarks })
    }

    /// The CPU's reference output of each network, computed when the first GPU needs it.
    struct Probes<'a> {
        made: Vec<Probe>,
        cache: Option<&'a Cache>,
    }

    impl Probes<'_> {
        fn get(&mut self, files: &[NetworkFile]) -> Result<&[Probe], Error> {
            for file in files.iter().skip(self.made.len()) {
                self.made.push(Probe::of(file, self.cache)?);
            }
            Ok(&self.made)
        }
    }

    /// Opens a GPU, loads the networks and checks it against the CPU. Returns it with a remark on the result.
    fn open(
        gpu: &Gpu,
        files: &[NetworkFile],
        compute: &ComputeOptions,
        probes: &mut Probes<'_>,
    ) -> Result<(LoadedDevice, String), Error> {
        let refused = |why: String| Error::device(&gpu.id, &why);
        let identity = gpu.identity().map_err(|why| refused(format!("failed to open: {why}")))?;
        let precision = compute.precision.on_gpu();
        let mut card = LoadedDevice::gpu(gpu, precision);
        if !card.has_precision() {
            return Err(refused(format!("{} does not support {precision}; use f32", identity.name)));
        }
        let free = gpu.memory().map(|memory| memory.free_bytes);
        let ways = kernels::ways(&gpu.device);
        let rejected = |why: String| refused(format!("{}: {why}", identity.name));
        let settled = settle(precision, ways, rejected, |plain, batch| {
            if let Some(batch) = batch {
                return Ok((nearness(&card, files, probes, batch)?, batch));
            }
            kernels::set_plain(&gpu.device, plain);
            card.clear()?;
            files.iter().try_for_each(|file| card.load(file))?;
            let loaded = card.reserved_bytes();
            let decibels = nearness(&card, files, probes, 1)?;
            Ok((decibels, compute.batch.unwrap_or_else(|| fitting(free, loaded, card.reserved_bytes()))))
        });
        let Settled { decibels, batch, remark } = settled.inspect_err(|_| {
            // An error here does not matter any more.
            let _ = card.clear();
        })?;
        card.set_batch(batch);
        let at_once = if batch == 1 { "1 segment".to_owned() } else { format!("{batch} segments") };
        let remark = format!(
            "computing on {}, {}, in {precision}, {at_once} per batch; matches the CPU to {decibels:.0} dB{remark}",
            gpu.id, identity.name,
        );
        Ok((card, remark))
    }

    /// How a GPU computes.
    struct Settled {
        decibels: f64,
        batch: usize,
        /// Why other ways were rejected.
        remark: String,
    }

    /// Finds a way to compute that passes the check: our kernels first, then burn's operations; and the largest batch
    /// that works. `attempt` takes whether to use burn's operations, and a batch size once a single segment has passed.
    /// It returns how closely the result matches the CPU, in dB, and how many segments may fit; [`Error::Device`] means
    /// that this way does not work.
    ///
    /// # Errors
    ///
    /// `rejected` with the reasons if no way works; any other error of `attempt`.
    fn settle(
        precision: Precision,
        ways: &[bool],
        rejected: impl FnOnce(String) -> Error,
        mut attempt: impl FnMut(bool, Option<usize>) -> Result<(f64, usize), Error>,
    ) -> Result<Settled, Error> {
        let least = least_decibels(precision);
        let mut wrong = Vec::new();
        // burn's operations sum in the precision of the values; f16 has too little range for that.
        for &plain in ways.iter().filter(|plain| precision == Precision::F32 || !**plain) {
            let kernels = if plain { "burn's operations" } else { "our kernels" };
            let (mut decibels, mut batch) = match attempt(plain, None) {
                Ok((decibels, room)) if decibels >= least => (decibels, room),
                Ok((decibels, _)) => {
                    wrong.push(format!("{kernels} match the CPU to {decibels:.0} dB; {least:.0} dB required"));
                    continue;
                }
                Err(Error::Device { message, .. }) => {
                    wrong.push(format!("{kernels} fail: {message}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            // The first batch compiles the kernels that a single segment does not need, and shows whether it fits.
            while batch > 1 {
                match attempt(plain, Some(batch)) {
                    Ok((nearness, _)) if nearness >= least => {
                        decibels = decibels.min(nearness);
                        break;
                    }
                    Ok((nearness, _)) => {
                        wrong.push(format!("a batch of {batch} segments matches the CPU to only {nearness:.0} dB"));
                    }
                    Err(Error::Device { .. }) => wrong.push(format!("a batch of {batch} segments does not fit")),
                    Err(error) => return Err(error),
                }
                batch /= 2;
            }
            if plain {
                wrong.push("using burn's slower operations".to_owned());
            }
            let remark = if wrong.is_empty() { String::new() } else { format!("; {}", wrong.join("; ")) };
            return Ok(Settled { decibels, batch, remark });
        }
        if wrong.is_empty() {
            wrong.push(format!("our kernels do not work on it, and burn's operations do not support {precision}"));
        }
        Err(rejected(wrong.join("; ")))
    }

    /// Returns the worst match with the CPU over all networks, in dB.
    fn nearness(
        card: &LoadedDevice,
        files: &[NetworkFile],
        probes: &mut Probes<'_>,
        batch: usize,
    ) -> Result<f64, Error> {
        let probes = probes.get(files)?;
        let mut networks = files.iter().zip(probes).enumerate();
        networks.try_fold(f64::INFINITY, |least, (i, (file, probe))| {
            Ok(least.min(probe.decibels(card, (i, &file.member), batch)?))
        })
    }

    /// Returns how many segments fit into the free memory, given the memory before and after one segment. Keeps half a
    /// gigabyte free, and a fifth of each segment's memory for fragmentation.
    fn fitting(free: Option<u64>, weights: Option<u64>, with_one: Option<u64>) -> usize {
        const MOST: u64 = 8;
        const LEFT_BYTES: u64 = 512 << 20;
        // Unknown: try two and halve if they do not fit.
        let (Some(free), Some(weights), Some(with_one)) = (free, weights, with_one) else { return 2 };
        let each = with_one.saturating_sub(weights).max(1);
        let room = free.saturating_sub(weights + LEFT_BYTES);
        usize::try_from((room / (each + each / 5)).clamp(1, MOST)).unwrap_or(1)
    }

    #[cfg(test)]
    mod tests {
        use super::{Settled, fitting, settle};
        use crate::{Error, Precision};

        #[test]
        fn batch_size_follows_free_memory() {
            const GIB: u64 = 1 << 30;
            let fits = |free| fitting(Some(free), Some(GIB / 4), Some(GIB));
            assert_eq!(fits(0), 1);
            assert_eq!(fits(2 * GIB), 1);
            assert_eq!(fits(4 * GIB), 3);
            assert_eq!(fits(80 * GIB), 8);
            assert_eq!(fitting(None, Some(1), Some(2)), 2);
        }

        /// Settles on a GPU where our kernels and burn's operations give these results.
        fn on(precision: Precision, ours: Result<f64, &str>, burns: f64) -> Result<Settled, String> {
            let settled = settle(precision, &[false, true], Error::Options, |plain, batch| {
                let nearness = if plain { Ok(burns) } else { ours.map_err(|why| Error::device("gpu", why)) };
                Ok((nearness?, batch.unwrap_or(8)))
            });
            settled.map_err(|rejected| rejected.to_string())
        }

        #[test]
        fn wrong_results_disable_kernels_then_reject_device() {
            let good = on(Precision::F32, Ok(115.0), 0.0).unwrap();
            assert_eq!((good.batch, good.remark.as_str()), (8, ""));
            let second = on(Precision::F32, Ok(34.0), 112.0).unwrap();
            assert!(second.remark.contains("our kernels match the CPU to 34 dB; 90 dB required"), "{}", second.remark);
            assert!(second.remark.ends_with("using burn's slower operations"), "{}", second.remark);
            let second = on(Precision::F32, Err("a compiler error\nCaused by:\nanother"), 112.0).unwrap();
            assert!(second.remark.contains("our kernels fail: a compiler error; another"), "{}", second.remark);
            let refused = on(Precision::F32, Ok(f64::NEG_INFINITY), 89.9).err().unwrap();
            assert!(refused.contains("burn's operations match the CPU to 90 dB; 90 dB required"), "{refused}");
            // Half precision has only one way, and a lower threshold.
            assert!(on(Precision::F16, Ok(51.0), 112.0).is_ok());
            assert!(on(Precision::F16, Ok(20.0), 112.0).is_err());
        }

        #[test]
        fn batch_is_halved_until_it_fits() {
            let settled = settle(Precision::F32, &[false, true], Error::Options, |_, batch| match batch {
                Some(batch) if batch > 3 => Err(Error::device("gpu", "out of memory")),
                batch => Ok((110.0, batch.unwrap_or(13))),
            });
            let settled = settled.unwrap();
            assert_eq!(settled.batch, 3);
            assert_eq!(settled.remark, "; a batch of 13 segments does not fit; a batch of 6 segments does not fit");
        }
    }
}
