//! Weights, by behaviour: what is in a file, what an import makes of an export, what fetching does when things go wrong.

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
