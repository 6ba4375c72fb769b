//! The program `vocalizer`: splits songs on this machine, runs the service and its workers, and talks to a service elsewhere.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "separate")]
mod allocator;
mod args;
mod exit;
mod local;
mod model;
mod npm;
mod output;
mod remote;
mod run;
pub mod service;
mod voice;

pub use run::run;
