//! Other formats, mixes and peaks: who waits for whom, when work ends, and what is kept.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

mod cache;
mod making;
mod place;
mod turns;
