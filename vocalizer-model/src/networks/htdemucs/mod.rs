//! The hybrid transformer network. Modules have the names of the PyTorch weights.

mod config;
mod decoder;
mod encoder;
mod layers;
mod model;
mod separate;
mod transformer;

pub(crate) use config::HtdemucsConfig;
#[cfg(test)]
mod tests;
