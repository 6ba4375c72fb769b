//! A Vocalizer server in the test process, for the tests of applications.
//!
//! [`TestServer::start`] starts the real service and HTTP server over memory, with a worker whose separator is a fake. The
//! README has an example.

mod fakes;
mod server;
mod time;

pub use server::TestServer;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
