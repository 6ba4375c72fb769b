//! The implementation of Vocalizer's programs.

#[cfg(feature = "separate")]
mod allocator;
#[cfg(feature = "separate")]
pub mod cli;
pub mod client;
pub mod service;
