mod conformance;
mod faults;
mod opening;
pub(crate) mod server;
mod uploading;
