//! The tables of the file.

use std::time::Duration;

use redb::{ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use vocalizer_core::ports::LeaseId;
use vocalizer_core::song::SongHash;

/// The times at which a job becomes visible and was published, in nanoseconds since 1970.
pub(crate) type Key = (u64, u64);

/// The hash, the attempts before the last lease, and that lease with whether it was extended.
pub(crate) type Row = (&'static str, u32, Option<([u8; 16], bool)>);

pub(crate) const JOBS: TableDefinition<Key, Row> = TableDefinition::new("jobs");

/// By the time of giving up: the hash, the attempts and the reason.
pub(crate) const DEAD: TableDefinition<u64, (&str, u32, &str)> = TableDefinition::new("dead");

/// The time of the last write.
const CLOCK: TableDefinition<(), u64> = TableDefinition::new("clock");

/// A row of [`JOBS`].
#[derive(Clone, Copy)]
pub(crate) struct StoredJob {
    pub(crate) visible_ns: u64,
    /// Unique, because no two writes have the same time.
    pub(crate) published_ns: u64,
    pub(crate) hash: SongHash,
    pub(crate) attempts: u32,
    pub(crate) lease: Option<(LeaseId, bool)>,
}

impl StoredJob {
    pub(crate) fn is_leased(&self, now_ns: u64) -> bool {
        self.lease.is_some() && self.visible_ns > now_ns
    }

    pub(crate) fn insert(&self, jobs: &mut Table<'_, Key, Row>) -> Result<(), StorageError> {
        let lease = self.lease.map(|(lease, is_extended)| (lease.to_bytes(), is_extended));
        let row = (&*self.hash.to_string(), self.attempts, lease);
        jobs.insert((self.visible_ns, self.published_ns), row).map(drop)
    }

    pub(crate) fn remove(&self, jobs: &mut Table<'_, Key, Row>) -> Result<(), StorageError> {
        jobs.remove((self.visible_ns, self.published_ns)).map(drop)
    }
}

/// Returns the jobs that become visible at `from_ns` or later, in this order.
pub(crate) fn scan(
    jobs: &impl ReadableTable<Key, Row>,
    from_ns: u64,
) -> Result<impl Iterator<Item = Result<StoredJob, StorageError>>, StorageError> {
    Ok(jobs.range((from_ns, 0)..)?.map(|entry| {
        let (key, row) = entry?;
        let ((visible_ns, published_ns), (hash, attempts, lease)) = (key.value(), row.value());
        let lease = lease.map(|(id, is_extended)| (LeaseId::from_bytes(id), is_extended));
        Ok(StoredJob { visible_ns, published_ns, hash: parse_hash(hash)?, attempts, lease })
    }))
}

pub(crate) fn parse_hash(text: &str) -> Result<SongHash, StorageError> {
    text.parse().map_err(|error| StorageError::Corrupted(format!("invalid song hash: {error}")))
}

/// Returns the time of a write: `now_ns`, or just after the last write if the system clock was set back.
pub(crate) fn advance_clock(tx: &WriteTransaction, now_ns: u64) -> Result<u64, redb::Error> {
    let mut clock = tx.open_table(CLOCK)?;
    let last_ns = clock.get(())?.map_or(0, |last| last.value());
    let now_ns = now_ns.max(last_ns.saturating_add(1));
    clock.insert((), now_ns)?;
    Ok(now_ns)
}

/// Adds a span to a time. A span beyond the year 2554 ends there.
pub(crate) fn later(ns: u64, span: Duration) -> u64 {
    ns.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}
