//! The commands that work on this machine: `separate`, `watch`, `models`, `devices` and `info`.

mod args;
#[cfg(feature = "separate")]
mod devices;
mod import;
mod info;
mod models;
#[cfg(feature = "separate")]
mod split;

#[cfg(feature = "separate")]
pub(crate) use args::Devices;
pub(crate) use args::{Info, Models};
#[cfg(feature = "separate")]
pub(crate) use devices::run as devices;
pub(crate) use info::run as info;
pub(crate) use models::run as models;
#[cfg(feature = "separate")]
pub(crate) use split::{Separate, Watch, separate, watch};
