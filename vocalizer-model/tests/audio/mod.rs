//! Audio input and output.

mod bad_input;
mod decode;
mod encode;
mod fuzzed;
#[cfg(feature = "opus")]
mod opus;
mod resample;
pub(crate) mod support;
