//! Separation of whole songs through the public functions.

mod accuracy;
mod cancel;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cards;
mod lengths;
mod options;
mod samples;
mod songs;
mod stems;
pub(crate) mod support;
