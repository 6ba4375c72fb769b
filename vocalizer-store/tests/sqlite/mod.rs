mod conformance;
mod foreign;
mod full;
mod model;
mod opening;
mod songs;
pub(crate) mod support;
