//! A job queue in RabbitMQ.

mod address;
mod broker;
mod channel;
mod connect;
mod dead;
mod delivery;
mod error;
mod given_up;
mod kind;
mod lease;
mod parked_job;
mod publisher;
mod queue;
mod reconnector;
mod settings;
mod taking;
mod topology;
mod wire;

pub use error::AmqpError;
pub use kind::AmqpQueueKind;
pub use queue::AmqpQueue;
pub use settings::AmqpSettings;
