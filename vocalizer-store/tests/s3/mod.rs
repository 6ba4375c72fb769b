mod conformance;
mod faults;
mod opening;
mod server;
mod uploading;
