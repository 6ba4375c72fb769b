mod conformance;
mod model;
mod opening;
mod songs;
pub(crate) mod support;
