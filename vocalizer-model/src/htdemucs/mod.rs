//! The hybrid transformer network. Modules have the names of the PyTorch weights.

mod config;
mod decoder;
mod encoder;
mod layers;
mod loader;
mod model;
mod transformer;
mod watcher;

pub(crate) use config::HtdemucsConfig;
pub(crate) use model::Htdemucs;
pub(crate) use watcher::Watcher;
#[cfg(test)]
mod tests;
