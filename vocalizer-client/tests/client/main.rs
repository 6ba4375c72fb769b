//! What the client promises, by behaviour, over real connections.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

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
