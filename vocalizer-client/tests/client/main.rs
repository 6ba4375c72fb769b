//! Tests of the client over real connections.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows unwrap in tests, but not in test helpers")]

mod accounts;
mod backend;
mod bad_answers;
mod canned;
mod downloads;
mod encryption;
mod errors;
mod events;
mod identity;
mod layers;
mod lists;
mod names;
#[cfg(feature = "oidc")]
mod oidc;
mod operations;
mod resuming;
mod retries;
mod saving;
mod setup;
mod songs;
mod tokens;
mod unknown;
mod uploading_again;
mod uploads;
mod waiting;
mod watching;
#[cfg(feature = "worker")]
mod worker;
