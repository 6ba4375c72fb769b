//! The programs `server`, `standalone` and `worker`.

mod adapters;
mod args;
mod backup;
mod compose;
mod config;
mod data;
mod invite;
mod logging;
#[cfg(feature = "separate")]
mod model;
mod page;
mod places;
mod policy;
mod run;
mod stop;
mod tend;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod worker;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod workers;

#[cfg(any(feature = "separate", feature = "cluster"))]
pub use args::WorkerArgs;
pub use args::{BrokerArgs, CapsArgs, KeptArgs, RenderingArgs, ServerCommand, ServiceArgs};
#[cfg(feature = "separate")]
pub use args::{ComputeArgs, StandaloneArgs};
pub use backup::{backup, restore};
pub use compose::{Parts, Tuning, compose, compose_with};
pub use config::{Config, ConfigError};
pub use data::{DataDir, DataError};
pub use invite::{InviteArgs, invite};
pub use places::{Blobs, Broker, Database, QueueKind};
pub use policy::{Policy, PolicyArgs};
pub use run::server;
#[cfg(feature = "separate")]
pub use run::standalone;
#[cfg(feature = "separate")]
pub use worker::worker;
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use worker::worker_with;
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use workers::{Load, Loaded};
