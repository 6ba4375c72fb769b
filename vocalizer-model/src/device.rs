//! What there is to compute on.

use burn_cubecl::CubeDevice;

/// A device for tests of kernels, and whether it is a card.
#[cfg(test)]
pub(crate) fn for_tests() -> Option<(CubeDevice, bool)> {
    use burn::tensor::{Device, DeviceType};
    let found = Device::enumerate(DeviceType::Wgpu).into_iter().next()?;
    match found.as_dispatch() {
        burn::backend::DispatchDevice::Cube(device) => Some((device.clone(), false)),
        _ => None,
    }
}
