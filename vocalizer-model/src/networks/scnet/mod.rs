//! SCNet: an encoder that thins out high frequencies more than low ones, LSTMs along frequency and along time, and the
//! mirrored decoder. Modules have the names of the PyTorch weights.

mod config;
#[cfg(feature = "separate")]
mod decoder;
#[cfg(feature = "separate")]
mod encoder;
#[cfg(feature = "separate")]
mod layers;
mod layout;
#[cfg(feature = "separate")]
mod model;
#[cfg(feature = "separate")]
mod separate;
#[cfg(feature = "separate")]
mod separation;

pub(crate) use config::ScnetConfig;
pub(crate) use layout::{layout, refuse_variants};
#[cfg(feature = "separate")]
pub(crate) use model::Scnet;
#[cfg(feature = "separate")]
pub(crate) use separate::Configured;
#[cfg(test)]
#[cfg(feature = "separate")]
mod tests;
#[cfg(test)]
#[cfg(feature = "separate")]
mod timing;
