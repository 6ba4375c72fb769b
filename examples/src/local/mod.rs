//! The commands that work on this machine: `separate`, `models`, `devices` and `info`.

mod args;
#[cfg(feature = "separate")]
mod devices;
mod info;
#[cfg(feature = "separate")]
mod inputs;
mod models;
#[cfg(feature = "separate")]
mod report;
#[cfg(feature = "separate")]
mod separate;

#[cfg(feature = "separate")]
pub(crate) use args::{Devices, Separate};
pub(crate) use args::{Info, Models};
#[cfg(feature = "separate")]
pub(crate) use devices::run as devices;
pub(crate) use info::run as info;
pub(crate) use models::run as models;
#[cfg(feature = "separate")]
pub(crate) use separate::run as separate;
