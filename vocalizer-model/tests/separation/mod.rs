//! Separation of whole songs through the public functions.

mod accuracy;
mod cancel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cards;
mod families;
mod lengths;
mod levels;
#[cfg(target_os = "linux")]
mod memory;
mod options;
mod parts;
mod recipes;
mod samples;
mod songs;
mod stems;
mod streaming;
pub(crate) mod support;
#[cfg(feature = "tags")]
mod tags;
