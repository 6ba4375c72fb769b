//! Weights: files, imports and downloads.

#[cfg(feature = "fetch")]
mod fetch;
mod file;
mod fuzzed;
#[cfg(all(feature = "fetch", unix))]
mod npm;
mod onnx;
mod registry;
#[cfg(feature = "fetch")]
mod resume;
#[cfg(feature = "fetch")]
mod server;
pub(crate) mod support;
