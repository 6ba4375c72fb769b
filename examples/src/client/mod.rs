//! The program `client`.

mod accounts;
mod args;
mod audio;
mod credentials;
mod exit;
mod integration;
mod report;
mod songs;

pub use args::Cli;
pub use exit::run;
