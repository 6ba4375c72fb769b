//! Property tests of the domain rules.

mod blobs;
mod dedupe;
mod hash;
mod identifiers;
mod limits;
mod names;
mod ownership;
mod parts;
mod peaks;
mod provenance;
mod secrets;
mod songs;
mod state_machine;
mod throttle;
mod wire;
