//! The GPUs of this machine, through burn.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::ir::{DeviceIdentity, PhysicalDevice};

use crate::auto_precision::AutoPrecision;
use crate::device::{DeviceInfo, Interface};

/// A GPU that its interface lists.
#[derive(Debug, Clone)]
pub(crate) struct Gpu {
    /// Its id, such as `cuda:0`.
    pub(crate) id: String,
    pub(crate) device: CubeDevice,
    /// Whether the driver computes on the CPU.
    pub(crate) is_software: bool,
}

impl Gpu {
    /// Opens the GPU and returns its identity.
    ///
    /// # Errors
    ///
    /// The driver's error message.
    pub(crate) fn identity(&self) -> Result<DeviceIdentity, String> {
        guarded(|| Ok(self.device.client().properties().identity.clone()))
    }

    /// Returns the total and free memory of the GPU in bytes, if the driver reports it.
    pub(crate) fn memory(&self) -> Option<Memory> {
        memory(self.identity().ok()?.physical.as_ref()?)
    }
}

/// Runs code that may panic in a driver or in burn, and returns the panic's message as an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("no error message").to_owned())
    })
}

/// Returns the GPUs that an interface finds. Empty without a driver, or if this build lacks the interface.
pub(crate) fn found(interface: Interface) -> Vec<Gpu> {
    let devices = guarded(|| {
        Ok(match interface {
            #[cfg(feature = "cuda")]
            Interface::Cuda => cuda(),
            #[cfg(feature = "wgpu")]
            Interface::Wgpu => wgpu(),
            #[cfg(not(all(feature = "cuda", feature = "wgpu")))]
            _ => Vec::new(),
        })
    });
    let devices = devices.unwrap_or_default().into_iter().enumerate();
    devices
        .map(|(index, (device, is_software))| Gpu { id: format!("{interface}:{index}"), device, is_software })
        .collect()
}

#[cfg(feature = "cuda")]
fn cuda() -> Vec<(CubeDevice, bool)> {
    use burn_cubecl::cubecl::cuda::CudaDevice;
    let peers = CubeDevice::enumerate(CubeDevice::Cuda(CudaDevice::new(0)).to_id());
    peers.into_iter().map(|id| (CubeDevice::from_id(id), false)).collect()
}

/// GPUs with their own memory come first, software implementations last.
#[cfg(feature = "wgpu")]
fn wgpu() -> Vec<(CubeDevice, bool)> {
    use burn_cubecl::cubecl::wgpu::{WgpuBackend, WgpuDevice, WgpuDeviceKind};
    // `Auto` on Linux would also try OpenGL, which prints errors to standard error.
    let interface = if cfg!(target_os = "linux") { WgpuBackend::Vulkan } else { WgpuBackend::Auto };
    let kinds = [
        WgpuDeviceKind::DiscreteGpu(0),
        WgpuDeviceKind::IntegratedGpu(0),
        WgpuDeviceKind::VirtualGpu(0),
        WgpuDeviceKind::Other(0),
        WgpuDeviceKind::Cpu,
    ];
    let mut devices = Vec::new();
    for kind in kinds {
        let is_software = kind == WgpuDeviceKind::Cpu;
        let peers = CubeDevice::enumerate(CubeDevice::Wgpu(WgpuDevice::new(kind).on(interface)).to_id());
        devices.extend(peers.into_iter().map(|id| (CubeDevice::from_id(id), is_software)));
    }
    devices
}

/// Lists all GPUs. Opens each of them.
pub(crate) fn devices() -> Vec<DeviceInfo> {
    let found = crate::device::interfaces().iter().flat_map(|interface| found(*interface));
    found
        .map(|card| {
            let identity = card.identity();
            let physical = identity.as_ref().ok().and_then(|identity| identity.physical.as_ref());
            let AutoPrecision { precision: auto_precision, reason: auto_reason } = AutoPrecision::on_gpu();
            DeviceInfo {
                memory_bytes: physical.and_then(memory).map(|memory| memory.total_bytes),
                name: identity.map_or_else(|why| format!("failed to open: {why}"), |identity| identity.name),
                id: card.id,
                is_software: card.is_software,
                auto_precision,
                auto_reason,
            }
        })
        .collect()
}

/// The memory of a GPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
}

/// Asks NVIDIA's or AMD's driver for the memory of this GPU.
fn memory(card: &PhysicalDevice) -> Option<Memory> {
    let address = card.pci_address?.to_string();
    nvidia(&address).or_else(|| amd(&address))
}

fn nvidia(address: &str) -> Option<Memory> {
    let driver = nvml_wrapper::Nvml::init().ok()?;
    let memory = driver.device_by_pci_bus_id(address).ok()?.memory_info().ok()?;
    Some(Memory { total_bytes: memory.total, free_bytes: memory.free })
}

fn amd(address: &str) -> Option<Memory> {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/sys/bus/pci/devices/{address}/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let (total_bytes, used) = (read("mem_info_vram_total")?, read("mem_info_vram_used")?);
    Some(Memory { total_bytes, free_bytes: total_bytes.saturating_sub(used) })
}

/// Returns a device for kernel tests, locked for one test at a time: the choice of kernels is a global setting per
/// device. `./test` requires at least software Vulkan.
#[cfg(test)]
pub(crate) fn for_tests() -> Option<(Gpu, std::sync::MutexGuard<'static, ()>)> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = crate::device::interfaces().iter().flat_map(|interface| found(*interface)).next();
    if found.is_none() {
        assert!(std::env::var_os("VOCALIZER_TEST_GPU").is_none(), "neither a GPU nor software Vulkan found");
        println!("skipped: neither a GPU nor software Vulkan found");
    }
    Some((found?, one))
}
