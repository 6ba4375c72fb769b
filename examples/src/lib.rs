//! The program `vocalizer`: splits songs on this machine, runs the service and its workers, and talks to a service elsewhere.

#[cfg(feature = "separate")]
mod allocator;
mod args;
mod exit;
mod local;
mod model;
mod remote;
mod run;
pub mod service;
mod voice;

pub use run::run;
