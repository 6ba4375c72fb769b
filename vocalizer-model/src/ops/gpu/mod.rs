//! The operations as kernels for GPUs, written once for CUDA, Vulkan, Metal and DirectX.

mod attention;
pub(super) mod launch;
mod product;
mod reduce;
pub(super) mod spectra;
mod stft;
