//! The cards of this machine, through burn.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::ir::{DeviceIdentity, PhysicalDevice};

use crate::device::{DeviceInfo, Interface};

/// A card that answers when its interface is asked for what there is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// How it is asked for.
    pub(crate) id: String,
    pub(crate) device: CubeDevice,
    /// A driver that computes on the CPU.
    pub(crate) is_software: bool,
}

impl Found {
    /// Opens it, to see who it is.
    ///
    /// # Errors
    ///
    /// What it says where it cannot be opened.
    pub(crate) fn identity(&self) -> Result<DeviceIdentity, String> {
        guarded(|| Ok(self.device.client().properties().identity.clone()))
    }

    /// Memory of its own and what is free of it, in bytes, where a driver tells.
    pub(crate) fn memory(&self) -> Option<Memory> {
        memory(self.identity().ok()?.physical.as_ref()?)
    }
}

/// Does what may panic in a driver's or burn's own code, and says what it said then.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("it failed without a word").to_owned())
    })
}

/// What an interface finds on this machine; nothing where there is no driver, or this build lacks the interface.
pub(crate) fn found(interface: Interface) -> Vec<Found> {
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
        .map(|(index, (device, is_software))| Found { id: format!("{interface}:{index}"), device, is_software })
        .collect()
}

#[cfg(feature = "cuda")]
fn cuda() -> Vec<(CubeDevice, bool)> {
    use burn_cubecl::cubecl::cuda::CudaDevice;
    let peers = CubeDevice::enumerate(CubeDevice::Cuda(CudaDevice::new(0)).to_id());
    peers.into_iter().map(|id| (CubeDevice::from_id(id), false)).collect()
}

/// Cards with memory of their own first, software last.
#[cfg(feature = "wgpu")]
fn wgpu() -> Vec<(CubeDevice, bool)> {
    use burn_cubecl::cubecl::wgpu::{WgpuBackend, WgpuDevice, WgpuDeviceKind};
    // OpenGL would be looked at, too, and says on standard error what it misses.
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

/// Everything that is found, opened.
pub(crate) fn devices() -> Vec<DeviceInfo> {
    let found = crate::device::interfaces().iter().flat_map(|interface| found(*interface));
    found
        .map(|card| {
            let identity = card.identity();
            let physical = identity.as_ref().ok().and_then(|identity| identity.physical.as_ref());
            DeviceInfo {
                memory_bytes: physical.and_then(memory).map(|memory| memory.total_bytes),
                name: identity.map_or_else(|why| format!("cannot be opened: {why}"), |identity| identity.name),
                id: card.id,
                is_software: card.is_software,
            }
        })
        .collect()
}

/// A card's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
}

/// What NVIDIA's or AMD's driver says of this card's memory.
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

/// A device for the tests of kernels, for one test at a time: which kernels it does with is told to the device.
#[cfg(test)]
pub(crate) fn for_tests() -> Option<(Found, std::sync::MutexGuard<'static, ()>)> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = crate::device::interfaces().iter().flat_map(|interface| found(*interface)).next();
    Some((found?, one))
}
