//! Workers over HTTP, which know only the service's address and a token.

mod backend;
mod conformance;
#[cfg(feature = "cluster")]
mod database;
mod handing_over;
mod place;
mod queue;
mod working;
