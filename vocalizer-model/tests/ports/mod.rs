//! Core's audio ports.

mod conformance;
#[cfg(feature = "tags")]
mod covers;
#[cfg(feature = "mp3")]
mod encoded;
#[cfg(unix)]
mod full;
#[cfg(target_os = "linux")]
mod memory;
mod probe;
mod render;
#[cfg(all(feature = "separate", feature = "mp3"))]
mod separator;
mod support;
