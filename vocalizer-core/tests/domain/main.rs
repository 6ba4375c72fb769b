//! The rules of the domain, held against everything proptest can think of.

mod blobs;
mod dedupe;
mod hash;
mod identifiers;
mod limits;
mod names;
mod ownership;
mod parts;
mod peaks;
mod secrets;
mod songs;
mod state_machine;
mod throttle;
mod wire;
