//! The programs `server`, `standalone` and `worker`.

mod adapters;
mod addresses;
mod args;
mod background;
mod backup;
mod compose;
mod config;
mod data;
mod invite;
mod logging;
#[cfg(feature = "separate")]
mod model;
mod page;
mod policy;
mod run;
mod stop;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod worker;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod workers;

pub use addresses::{Blobs, Broker, Database, QueueKind};
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
