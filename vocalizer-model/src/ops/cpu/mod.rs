//! The network's operations on the CPU, on plain slices: fused, parallel, and vectorised.

pub(crate) mod attention;
pub(crate) mod conv;
pub(crate) mod dconv;
pub(crate) mod gemm;
mod grid;
pub(crate) mod memory;
pub(crate) mod norm;
mod scratch;
mod simd;
pub(crate) mod transformer;
pub(crate) mod yardstick;

pub(crate) use grid::Extent;
pub(crate) use simd::name as simd_name;
