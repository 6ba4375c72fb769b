//! GPU kernels of the operations, from one source for CUDA, Vulkan, Metal and DirectX.

mod attention;
pub(super) mod launch;
mod product;
mod reduce;
pub(super) mod spectra;
mod stft;
