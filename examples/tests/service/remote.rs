//! Workers that come over HTTP: all they know of the service is its address and a token.

mod backend;
#[cfg(feature = "cluster")]
mod database;
mod handing_over;
mod place;
mod queue;
mod working;
