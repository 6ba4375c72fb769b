//! What the queues promise, by behaviour.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

#[cfg(feature = "amqp")]
mod amqp;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
