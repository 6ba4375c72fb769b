//! `evaluate`: scores models, or stems that other programs made, on songs with true stems.

mod args;
mod comparison;
mod dataset;
mod evaluator;
mod pairing;
mod report;
mod results;
mod table;

pub(crate) use args::Evaluate;
pub(crate) use evaluator::run as evaluate;
