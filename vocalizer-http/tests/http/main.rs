//! What HTTP promises by itself, by behaviour: its pure parts, and what workers meet on the wire.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

mod answer;
mod caps;
mod cookies;
mod disposition;
mod hosts;
mod jobs;
mod metrics;
mod openapi;
mod page;
mod passwords;
mod pulse;
mod queue;
mod range;
mod renderings;
mod status;
mod streams;
mod support;
mod work;
