//! The program `vocalizer`.

mod args;
mod devices;
mod exit;
mod info;
mod inputs;
mod models;
mod report;
mod separate;

pub use args::Cli;
pub use exit::run;
pub use models::load_model;
