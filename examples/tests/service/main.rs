//! Tests of the whole service over the network, from HTTP requests to the files on disk.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows unwrap in tests, but not in their helpers")]

mod accounts;
mod administration;
mod administrators;
mod analysis;
mod backups;
mod blocking;
mod cancelling;
mod caps;
#[cfg(feature = "cluster")]
mod chaos;
mod compatibility;
mod compositions;
mod contract;
mod crash;
mod database;
mod downloads;
mod estimates;
mod events;
mod fairness;
mod fake_separator;
#[cfg(feature = "separate")]
mod families;
mod foreign;
mod full;
mod guessing;
mod heads;
mod killing;
mod labels;
mod library;
mod limiting;
mod lists;
mod lossless;
mod markers;
mod models;
mod ownership;
mod paths;
#[cfg(feature = "cluster")]
mod postgres;
mod previews;
mod program;
#[cfg(feature = "cluster")]
mod programs;
mod ranges;
mod remote;
mod remote_commands;
mod renditions;
mod repeating;
mod request_ids;
mod results;
mod resumable;
mod resuming;
mod retention;
mod server;
mod sessions;
mod sharing;
mod signing_in;
mod slow;
mod support;
mod sweeping;
mod tagged;
mod transfers;
mod trash;
mod trusted_user;
mod uploads;
mod watching;
mod webhooks;
mod wire;
mod workers;
mod working;
