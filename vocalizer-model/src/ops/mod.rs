//! The network's operations, with implementations for the CPU and for GPUs, and a reference made of burn's operations.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
mod default;
mod flex;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
#[cfg(all(test, any(feature = "wgpu", feature = "cuda")))]
mod gpu_tests;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod kernels;
mod network;
mod parameters;
mod record;
pub(crate) mod roformer;
pub(crate) mod scnet;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod spectrum;
mod tensors;
#[cfg(test)]
mod tests;

pub(crate) use flex::data;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) use record::settle;
pub(crate) use record::{Cost, Record, Recording};
pub(crate) use tensors::{
    DConvLayer, Extra, Linear, Norm, attention, conv_glu, dconv, feed_forward, group_norm, linear, linear_residual,
    pack, pack_glu, pack_transposed, position_norm, strided_gelu, transposed_gelu,
};
pub(crate) use vocalizer_kernels::conv::{Axis, STRIDE, TAPS};
pub(crate) use vocalizer_kernels::memory::Keeper;
pub(crate) use vocalizer_kernels::{roofline, simd_name};
