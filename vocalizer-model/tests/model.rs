//! Behaviour that users of the crate rely on, one module per area.

mod audio;
mod memory;
#[cfg(feature = "ports")]
mod ports;
#[cfg(feature = "separate")]
mod separation;
mod weights;
