mod conformance;
mod copying;
#[path = "../../sql/tests/support/database.rs"]
mod database;
mod faults;
mod locks;
mod model;
mod network;
mod opening;
#[path = "../../sql/tests/support/proxy.rs"]
mod proxy;
#[cfg(feature = "s3")]
mod resuming;
#[path = "../../sql/tests/support/server.rs"]
mod server;
mod servers;
mod songs;
mod support;
