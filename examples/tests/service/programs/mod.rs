//! Tests of the programs: the real `server`, `worker` with a fake model, and a broker of their own.

mod alarm;
mod broker;
mod child;
mod large;
mod pausing;
mod place;
mod stopping;
