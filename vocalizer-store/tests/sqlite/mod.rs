mod conformance;
#[path = "../../sql/tests/support/file.rs"]
mod file;
mod foreign;
mod full;
mod model;
mod opening;
mod songs;
pub(crate) mod support;
