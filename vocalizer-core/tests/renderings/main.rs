//! Tests of renditions, mixes and peaks: queueing, cancellation and caching.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod cache;
mod making;
mod place;
mod turns;
