//! The network's operations: what each is made of in burn's own operations, and a body of its own for the CPU.

pub(crate) mod cpu;
mod default;
mod flex;
mod network;
mod record;
mod tensors;
#[cfg(test)]
mod tests;

pub(crate) use cpu::conv::{Axis, STRIDE, TAPS};
pub(crate) use cpu::memory::Keeper;
pub(crate) use cpu::{simd_name, yardstick};
pub(crate) use record::{Cost, Record, Recording};
pub(crate) use tensors::{
    DConvLayer, Extra, Linear, Norm, attention, conv_glu, dconv, feed_forward, group_norm, linear, linear_residual,
    pack, pack_transposed, position_norm, strided_gelu, transposed_gelu,
};
