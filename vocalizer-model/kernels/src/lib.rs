//! The network's operations on the CPU, on plain slices: fused, parallel, and vectorised.

pub mod attention;
pub mod conv;
pub mod dconv;
pub mod gemm;
mod grid;
pub mod memory;
pub mod norm;
pub mod roofline;
mod scratch;
mod simd;
pub mod transformer;

pub use grid::Extent;
pub use simd::name as simd_name;
