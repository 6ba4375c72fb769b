//! The service: `serve`, `worker` and `admin`.

mod adapters;
mod addresses;
mod admin;
mod args;
mod backup;
mod compose;
mod config;
mod data;
mod error;
mod first_user;
mod invite;
mod logging;
#[cfg(feature = "separate")]
mod model;
mod oidc;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod on_demand;
mod page;
mod policy;
mod priority;
mod serve;
mod stop;
mod traces;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod worker;
#[cfg(any(feature = "separate", feature = "cluster"))]
mod workers;

pub use addresses::{Blobs, Broker, Database, QueueKind};
pub(crate) use admin::admin;
pub use args::{
    Admin, AdminCommand, AdvancedArgs, AuditArgs, BrokerArgs, CapsArgs, InviteArgs, JobsArgs, JobsCommand, LogFormat,
    ModelsArgs, NetworkArgs, OidcArgs, PolicyArgs, RegistrationArg, RenderingArgs, ResumableArgs, RoomArgs, ServeArgs,
    SongsArgs, SongsCommand, StorageArgs, StorageCommand, StorageCommandArgs, UsersArgs, UsersCommand, WebhookArgs,
};
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use args::{ComputeArgs, WorkerArgs};
pub use compose::{Parts, Tuning, compose, compose_with};
pub use config::{Config, WebhookPolicy};
pub use data::{DataDir, DataError};
pub use error::ConfigError;
pub use first_user::FirstUser;
pub use oidc::{Oidc, SignIn};
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use on_demand::load_on_demand;
pub use policy::Policy;
pub(crate) use serve::serve;
#[cfg(feature = "separate")]
pub(crate) use worker::worker;
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use worker::worker_with;
#[cfg(any(feature = "separate", feature = "cluster"))]
pub use workers::{Load, Loaded};
