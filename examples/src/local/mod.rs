//! The commands that work on this machine: `separate`, `watch`, `models`, `evaluate`, `devices` and `info`.

mod args;
#[cfg(feature = "separate")]
mod devices;
#[cfg(feature = "separate")]
mod evaluate;
mod import;
mod info;
mod models;
#[cfg(feature = "separate")]
mod network_args;
#[cfg(feature = "separate")]
mod split;

#[cfg(feature = "separate")]
pub(crate) use args::Devices;
pub(crate) use args::{Info, Models};
#[cfg(feature = "separate")]
pub(crate) use devices::run as devices;
#[cfg(feature = "separate")]
pub(crate) use evaluate::{Evaluate, evaluate};
pub(crate) use info::run as info;
pub(crate) use models::run as models;
#[cfg(feature = "separate")]
pub(crate) use split::{Separate, Watch, separate, watch};
