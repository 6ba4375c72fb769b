//! The programs as they are run: `server` itself, `worker` with a stand-in for the network, and a broker of their own.

mod alarm;
mod broker;
mod child;
mod large;
mod pausing;
mod place;
mod stopping;
