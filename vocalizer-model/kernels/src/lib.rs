//! The network's operations on the CPU, on plain slices: fused, parallel, and vectorised.

pub mod attention;
pub mod band_conv;
pub mod bands;
pub mod conv;
pub mod dconv;
pub mod gemm;
mod grid;
pub mod lstm;
pub mod memory;
pub mod norm;
pub mod rms;
pub mod roofline;
pub mod rotary;
mod scratch;
mod simd;
pub mod transformer;
pub mod unit;

pub use grid::Extent;
pub use simd::name as simd_name;
