//! The hybrid transformer network, module by module under the names the PyTorch weights carry.

mod config;
mod decoder;
mod encoder;
mod layers;
mod loader;
mod model;
mod transformer;

pub(crate) use config::HtdemucsConfig;
pub(crate) use model::{Htdemucs, Watcher};
#[cfg(test)]
mod tests;
