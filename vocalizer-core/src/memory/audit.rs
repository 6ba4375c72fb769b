//! The audit log in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::ports::{AuditEntry, AuditLog, AuditSearch, RepositoryError};

/// An [`AuditLog`] in memory.
#[derive(Debug, Default)]
pub struct MemoryAudit(Mutex<Vec<AuditEntry>>);

impl MemoryAudit {
    fn log(&self) -> MutexGuard<'_, Vec<AuditEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditLog for MemoryAudit {
    async fn record(&self, entry: &AuditEntry) -> Result<(), RepositoryError> {
        self.log().push(entry.clone());
        Ok(())
    }

    async fn entries(&self, search: &AuditSearch) -> Result<Vec<AuditEntry>, RepositoryError> {
        let log = self.log();
        let found = log.iter().rev().filter(|entry| entry.at >= search.since);
        Ok(found.take(search.limit as usize).cloned().collect())
    }

    async fn forget_entries(&self, before: OffsetDateTime, most: u64) -> Result<(), RepositoryError> {
        let mut log = self.log();
        let excess = (log.len() as u64).saturating_sub(most);
        log.drain(..usize::try_from(excess).unwrap_or(usize::MAX));
        log.retain(|entry| entry.at >= before);
        Ok(())
    }
}
