//! The devices of this machine.

use crate::auto_precision::AutoPrecision;
use crate::device::DeviceInfo;

/// Lists every device that this build can compute on: the CPU, then GPUs, CUDA's first. Opens each of them.
///
/// ```no_run
/// for device in vocalizer_model::devices().iter().filter(|device| !device.is_software) {
///     println!("{}: {}", device.id, device.name);
/// }
/// ```
pub fn devices() -> Vec<DeviceInfo> {
    let AutoPrecision { precision: auto_precision, reason: auto_reason } = AutoPrecision::on_cpu();
    let (id, name) = ("cpu".into(), cpu_name());
    let cpu = DeviceInfo { id, name, is_software: false, memory_bytes: None, auto_precision, auto_reason };
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    let cards = crate::gpus::devices();
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    let cards = Vec::new();
    std::iter::once(cpu).chain(cards).collect()
}

pub(crate) fn cpu_name() -> String {
    let threads = rayon::current_num_threads();
    format!("CPU, {} in {threads} thread{}", crate::ops::simd_name(), if threads == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_comes_first_and_ids_are_unique() {
        let devices = devices();
        assert_eq!(devices[0].id, "cpu");
        for (i, device) in devices.iter().enumerate().skip(1) {
            println!("{device:?}");
            assert!(devices[..i].iter().all(|other| other.id != device.id));
        }
    }
}
