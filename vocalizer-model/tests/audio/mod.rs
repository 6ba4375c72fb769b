//! Audio input and output.

mod aac;
mod bad_input;
mod containers;
mod damage;
mod damaged_containers;
mod decode;
mod encode;
mod flac32;
mod fuzzed;
mod joined;
mod measure;
#[cfg(feature = "opus")]
mod opus;
mod refused;
mod resample;
pub(crate) mod support;
mod tracks;
mod trailing;
