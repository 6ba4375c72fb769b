//! Mel-Band RoFormer and BS-RoFormer: transformers along time and along frequency bands that estimate a mask of the
//! spectrum per stem. Modules have the names of the PyTorch weights.

mod bands;
mod config;
#[cfg(feature = "separate")]
mod layers;
mod layout;
#[cfg(feature = "separate")]
mod model;
#[cfg(feature = "separate")]
mod separate;
#[cfg(test)]
#[cfg(feature = "separate")]
mod tests;

pub(crate) use config::RoformerConfig;
pub(crate) use layout::{is_optional, layout};
#[cfg(feature = "separate")]
pub(crate) use model::Roformer;
#[cfg(feature = "separate")]
pub(crate) use separate::Configured;
