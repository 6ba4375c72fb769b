//! Settings of the queue.

use std::time::Duration;

/// Settings of a [`PostgresQueue`](super::PostgresQueue).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresQueueSettings {
    /// Lease duration; each extension grants it again. Default: 60 s.
    pub visibility: Duration,
    /// Maximum number of connections, besides one for notifications. Default: 4.
    pub max_connections: u32,
    /// Timeout for getting a connection. Default: 5 s.
    pub acquire_timeout: Duration,
    /// Statement timeout. Default: 30 s.
    pub statement_timeout: Duration,
    /// Polling interval without notifications. Default: 2 s.
    pub poll: Duration,
}

impl Default for PostgresQueueSettings {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(60),
            max_connections: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            poll: Duration::from_secs(2),
        }
    }
}
