//! Selects our kernels or burn's operations per device; burn's are the fallback if ours compute wrong results.

use std::sync::{PoisonError, RwLock};

use burn_cubecl::CubeDevice;

/// The devices that have networks loaded, and whether they use burn's operations.
static DEVICES: RwLock<Vec<(CubeDevice, bool)>> = RwLock::new(Vec::new());

fn known(device: &CubeDevice) -> Option<bool> {
    let devices = DEVICES.read().unwrap_or_else(PoisonError::into_inner);
    devices.iter().find(|(known, _)| known == device).map(|(_, plain)| *plain)
}

/// Returns whether this device uses burn's operations.
pub(super) fn are_plain(device: &CubeDevice) -> bool {
    known(device).unwrap_or(false)
}

/// Sets whether this device uses burn's operations. Weights that were packed before no longer fit.
pub(crate) fn set_plain(device: &CubeDevice, plain: bool) {
    let mut devices = DEVICES.write().unwrap_or_else(PoisonError::into_inner);
    devices.retain(|(known, _)| known != device);
    devices.push((device.clone(), plain));
}

/// Returns the ways to try for a new network, in order: `false` for our kernels, `true` for burn's operations. A device
/// with networks loaded has only the way they use.
pub(crate) fn ways(device: &CubeDevice) -> &'static [bool] {
    match known(device) {
        None => &[false, true],
        Some(false) => &[false],
        Some(true) => &[true],
    }
}
