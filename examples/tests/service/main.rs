//! The service as programs meet it: over the network, from the first request to what is left on the disk.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

mod accounts;
mod backups;
mod blocking;
mod caps;
#[cfg(feature = "cluster")]
mod chaos;
mod client;
mod contract;
mod crash;
mod database;
mod downloads;
mod events;
mod foreign;
mod full;
mod guessing;
mod heads;
mod killing;
mod limiting;
mod lists;
mod ownership;
mod paths;
#[cfg(feature = "cluster")]
mod postgres;
#[cfg(feature = "cluster")]
mod programs;
mod ranges;
mod remote;
mod renditions;
mod request_ids;
mod results;
mod retention;
mod server;
mod sessions;
mod slow;
mod support;
mod sweeping;
mod transfers;
mod uploads;
mod watching;
mod wire;
mod workers;
mod working;
