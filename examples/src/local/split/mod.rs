//! `separate` and `watch`: songs in, stems out.

mod batch;
mod demucs;
mod demucs_args;
mod earlier;
mod inputs;
mod interrupt;
mod lock_file;
mod manifest;
mod names;
mod options;
mod places;
mod profile_file;
mod report;
mod separate;
mod separate_args;
mod source;
mod stdio;
mod summary;
mod template;
mod times;
mod watch;

pub(super) use batch::{exit_of_setup, identify_model};
pub(super) use interrupt::watch as watch_interrupts;
pub(super) use names::safe_name;
pub(crate) use separate::run as separate;
pub(crate) use separate_args::{Separate, Watch};
pub(crate) use watch::run as watch;
