//! A job queue in RabbitMQ.

mod address;
mod broker;
mod connect;
mod dead;
mod error;
mod finish;
mod given_up;
mod guard;
mod hold;
mod lane;
mod lease;
mod link;
mod publisher;
mod queue;
mod settings;
mod taking;
mod topology;
mod wire;

pub use error::AmqpError;
pub use queue::AmqpQueue;
pub use settings::{AmqpQueueKind, AmqpSettings};
