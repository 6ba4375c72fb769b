//! What the pure parts of HTTP promise, by behaviour.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

mod answer;
mod cookies;
mod disposition;
mod openapi;
mod passwords;
mod range;
