//! SCNet: an encoder that thins out high frequencies more than low ones, LSTMs along frequency and along time, and the
//! mirrored decoder. Modules have the names of the PyTorch weights.

mod config;
mod decoder;
mod encoder;
mod layers;
mod layout;
mod model;
mod separation;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod timing;

pub(crate) use config::ScnetConfig;
pub(crate) use layout::{layout, refuse_variants};
