//! Audio input and output.

mod aac;
mod bad_input;
mod channels;
mod containers;
mod damage;
mod damaged_containers;
mod decode;
mod encode;
mod flac32;
mod fuzzed;
mod joined;
mod matroska;
mod measure;
#[cfg(feature = "opus")]
mod opus;
mod quicktime;
mod refused;
mod resample;
pub(crate) mod support;
#[cfg(feature = "tags")]
mod tags;
mod tracks;
mod trailing;
