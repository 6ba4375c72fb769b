//! What Vocalizer's programs are composed of.

#[cfg(feature = "separate")]
mod allocator;
#[cfg(feature = "separate")]
pub mod cli;
pub mod client;
pub mod service;
