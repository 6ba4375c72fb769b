//! What the pure parts of HTTP promise, by behaviour.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

mod answer;
mod disposition;
mod range;
