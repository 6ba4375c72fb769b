//! SCNet's operations on GPUs: burn's.

use burn_cubecl::CubeBackend;

use super::network::ScnetOps;

impl ScnetOps for CubeBackend {}
