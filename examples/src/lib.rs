//! What Vocalizer's programs are composed of.

pub mod cli;
