//! The commands that work on this machine: `separate`, `watch`, `models`, `devices` and `info`.

mod args;
#[cfg(feature = "separate")]
mod batch;
#[cfg(feature = "separate")]
mod demucs;
#[cfg(feature = "separate")]
mod demucs_args;
#[cfg(feature = "separate")]
mod devices;
#[cfg(feature = "separate")]
mod earlier;
mod info;
#[cfg(feature = "separate")]
mod inputs;
#[cfg(feature = "separate")]
mod interrupt;
#[cfg(feature = "separate")]
mod manifest;
mod models;
#[cfg(feature = "separate")]
mod names;
#[cfg(feature = "separate")]
mod options;
#[cfg(feature = "separate")]
mod places;
#[cfg(feature = "separate")]
mod profile_file;
#[cfg(feature = "separate")]
mod report;
#[cfg(feature = "separate")]
mod separate;
#[cfg(feature = "separate")]
mod separate_args;
#[cfg(feature = "separate")]
mod source;
#[cfg(feature = "separate")]
mod stdio;
#[cfg(feature = "separate")]
mod summary;
#[cfg(feature = "separate")]
mod template;
#[cfg(feature = "separate")]
mod times;
#[cfg(feature = "separate")]
mod watch;

#[cfg(feature = "separate")]
pub(crate) use args::Devices;
pub(crate) use args::{Info, Models};
#[cfg(feature = "separate")]
pub(crate) use devices::run as devices;
pub(crate) use info::run as info;
pub(crate) use models::run as models;
#[cfg(feature = "separate")]
pub(crate) use separate::run as separate;
#[cfg(feature = "separate")]
pub(crate) use separate_args::{Separate, Watch};
#[cfg(feature = "separate")]
pub(crate) use watch::run as watch;
