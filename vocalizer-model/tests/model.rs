//! What users of the crate rely on, filed by behaviour.

mod audio;
#[cfg(feature = "ports")]
mod ports;
#[cfg(feature = "separate")]
mod separation;
mod weights;
