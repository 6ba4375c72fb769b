//! The network's operations, with implementations for the CPU and for GPUs, and a reference made of burn's operations.

pub(crate) mod cpu;
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
mod record;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod spectrum;
mod tensors;
#[cfg(test)]
mod tests;

pub(crate) use cpu::conv::{Axis, STRIDE, TAPS};
pub(crate) use cpu::memory::Keeper;
pub(crate) use cpu::{simd_name, yardstick};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) use record::settle;
pub(crate) use record::{Cost, Record, Recording};
pub(crate) use tensors::{
    DConvLayer, Extra, Linear, Norm, attention, conv_glu, dconv, feed_forward, group_norm, linear, linear_residual,
    pack, pack_transposed, position_norm, strided_gelu, transposed_gelu,
};
