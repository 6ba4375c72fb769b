//! Mel-Band RoFormer and BS-RoFormer: transformers along time and along frequency bands that estimate a mask of the
//! spectrum per stem. Modules have the names of the PyTorch weights.

mod bands;
mod config;
mod layers;
mod layout;
mod model;
#[cfg(test)]
mod tests;

pub(crate) use config::RoformerConfig;
pub(crate) use layout::{is_optional, layout};
