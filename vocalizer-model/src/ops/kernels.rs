//! What devices compute with: our kernels, or burn's operations where ours gave wrong results.

use std::sync::{PoisonError, RwLock};

use burn_cubecl::CubeDevice;

/// The devices that have networks on them, and whether those do with burn's operations.
static DEVICES: RwLock<Vec<(CubeDevice, bool)>> = RwLock::new(Vec::new());

fn known(device: &CubeDevice) -> Option<bool> {
    let devices = DEVICES.read().unwrap_or_else(PoisonError::into_inner);
    devices.iter().find(|(known, _)| known == device).map(|(_, plain)| *plain)
}

/// Whether this device does with burn's operations.
pub(super) fn are_plain(device: &CubeDevice) -> bool {
    known(device).unwrap_or(false)
}

/// From now on this device does with burn's operations, or not. Weights that were packed before no longer fit.
pub(crate) fn set_plain(device: &CubeDevice, plain: bool) {
    let mut devices = DEVICES.write().unwrap_or_else(PoisonError::into_inner);
    devices.retain(|(known, _)| known != device);
    devices.push((device.clone(), plain));
}

/// Whether a network that is to come may do with burn's operations: `false` for our kernels, in the order in which they
/// are to be tried. Where there are networks already, it does as they do.
pub(crate) fn ways(device: &CubeDevice) -> &'static [bool] {
    match known(device) {
        None => &[false, true],
        Some(false) => &[false],
        Some(true) => &[true],
    }
}
