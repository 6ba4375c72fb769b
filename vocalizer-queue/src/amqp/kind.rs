//! The kind of the queue.

use std::fmt;

/// The kind of the queue at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmqpQueueKind {
    /// A quorum queue, declared by this crate: replicated, and the broker counts the deliveries of each job.
    #[default]
    Quorum,
    /// A durable classic queue without arguments, declared by this crate or by the original Vocalizer's programs.
    Classic,
    /// An existing queue of any kind, declared by another program.
    Existing,
}

impl fmt::Display for AmqpQueueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
            Self::Existing => "existing",
        })
    }
}
