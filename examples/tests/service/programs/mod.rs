//! Tests of the programs: the real `server`, `worker` with a fake model, and a broker of their own.

mod alarm;
mod broker;
mod child;
#[cfg(feature = "otlp")]
mod collector;
mod large;
mod pausing;
mod place;
mod stopping;
#[cfg(feature = "otlp")]
mod traces;
