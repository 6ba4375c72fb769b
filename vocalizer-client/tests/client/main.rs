//! Tests of the client over real connections.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows unwrap in tests, but not in test helpers")]

mod accounts;
mod backend;
mod bad_answers;
mod canned;
mod downloads;
mod encryption;
mod events;
mod lists;
mod names;
mod resuming;
mod retries;
mod setup;
mod songs;
mod tokens;
mod uploads;
mod waiting;
#[cfg(feature = "worker")]
mod worker;
