//! Which devices do with burn's operations, since our kernels gave wrong results on them.

use std::sync::{PoisonError, RwLock};

use burn_cubecl::CubeDevice;

static PLAIN: RwLock<Vec<CubeDevice>> = RwLock::new(Vec::new());

/// Whether this device does with burn's operations.
pub(super) fn are_plain(device: &CubeDevice) -> bool {
    PLAIN.read().unwrap_or_else(PoisonError::into_inner).contains(device)
}

/// From now on this device does with burn's operations, or not. Weights that were packed before no longer fit.
pub(crate) fn set_plain(device: &CubeDevice, plain: bool) {
    let mut devices = PLAIN.write().unwrap_or_else(PoisonError::into_inner);
    devices.retain(|known| known != device);
    if plain {
        devices.push(device.clone());
    }
}
