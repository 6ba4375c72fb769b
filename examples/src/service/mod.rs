//! The service: the server by itself, and everything in one process.

mod args;
mod compose;
mod config;
mod data;
mod logging;
#[cfg(feature = "separate")]
mod model;
mod run;
mod stop;
mod tend;

pub use args::ServiceArgs;
#[cfg(feature = "separate")]
pub use args::StandaloneArgs;
pub use compose::{Parts, Tuning, compose, compose_with};
pub use config::{Config, ConfigError};
pub use data::{DataDir, DataError};
pub use run::server;
#[cfg(feature = "separate")]
pub use run::standalone;
