//! SCNet: an encoder that thins out high frequencies more than low ones, LSTMs along frequency and along time, and the
//! mirrored decoder. Modules have the names of the PyTorch weights.

mod config;
mod decoder;
mod encoder;
mod layers;
mod layout;
mod model;
mod separate;
mod separation;

pub(crate) use config::ScnetConfig;
pub(crate) use layout::{layout, refuse_variants};
pub(crate) use model::Scnet;
pub(crate) use separate::Configured;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod timing;
