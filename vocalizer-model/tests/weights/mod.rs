//! Weights: files, imports and downloads.

mod checkpoint;
mod config;
#[cfg(feature = "fetch")]
mod convert;
#[cfg(feature = "fetch")]
mod damaged;
#[cfg(feature = "fetch")]
mod fetch;
mod file;
mod fuzzed;
mod import;
mod made;
mod onnx;
mod recipes;
mod registry;
#[cfg(feature = "fetch")]
mod resume;
#[cfg(feature = "fetch")]
mod server;
#[cfg(feature = "fetch")]
mod sources;
pub(crate) mod support;
