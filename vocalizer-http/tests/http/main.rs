//! Tests of the HTTP crate: its pure functions, and the worker API over a connection.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows unwrap in tests, but not in test helpers")]

mod answer;
mod background;
mod caps;
mod cookies;
mod disposition;
mod hosts;
mod jobs;
mod metrics;
mod openapi;
mod page;
mod pulse;
mod queue;
mod range;
mod renderings;
mod resumable;
mod status;
mod streams;
mod support;
mod traces;
mod uploads;
mod work;
