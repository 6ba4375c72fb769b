//! What stands in the file.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query, query_scalar};
use vocalizer_core::ports::{BoxError, DeadLetter, Job, JobPayload, LeaseId, QueueError};
use vocalizer_core::song::{FailureReason, SongHash};

use super::open::Database;
use crate::schedule::Queued;

/// The durable side of the queue: what it says is so after a restart.
pub(super) struct Record {
    database: Database,
}

/// A job as it was found.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) job: Job,
    pub(super) attempts: u32,
    pub(super) age: Duration,
    pub(super) delay: Duration,
    /// The durable lease that somebody may have on it, and whether its attempt is counted.
    pub(super) lease: Option<(LeaseId, bool)>,
}

impl Record {
    pub(super) async fn open(path: &Path) -> Result<Self, QueueError> {
        let database = Database::open(path).await.map_err(|error| QueueError::Unavailable(error.into()))?;
        Ok(Self { database })
    }

    /// All jobs, in the order in which they are to come.
    pub(super) async fn jobs(&self) -> Result<Vec<Found>, QueueError> {
        let rows = query(
            "SELECT number, hash, attempts, published_at_ms, ready_at_ms, delay_ms, lease, lease_counts FROM queue_jobs \
             ORDER BY ready_at_ms, attempts, number",
        )
        .fetch_all(self.database.read())
        .await
        .map_err(unavailable)?;
        let now_ms = now_ms();
        rows.iter().map(|row| found(row, now_ms).map_err(QueueError::Unavailable)).collect()
    }

    /// Writes a fresh job down, in place of its dead letter.
    pub(super) async fn insert(&self, number: u64, hash: &SongHash) -> Result<(), QueueError> {
        let mut step = self.database.write().await?;
        query("DELETE FROM queue_dead_letters WHERE hash = ?")
            .bind(hash.to_string())
            .execute(&mut *step)
            .await
            .map_err(unavailable)?;
        query(
            "INSERT INTO queue_jobs (number, hash, attempts, published_at_ms, ready_at_ms, delay_ms) \
             VALUES (?1, ?2, 0, ?3, ?3, 0)",
        )
        .bind(signed(number))
        .bind(hash.to_string())
        .bind(now_ms())
        .execute(&mut *step)
        .await
        .map_err(unavailable)?;
        step.commit().await
    }

    /// Forgets the dead letter of a hash.
    pub(super) async fn bury(&self, hash: &SongHash) -> Result<(), QueueError> {
        let mut step = self.database.write().await?;
        let forgotten = query("DELETE FROM queue_dead_letters WHERE hash = ?").bind(hash.to_string());
        forgotten.execute(&mut *step).await.map_err(unavailable)?;
        step.commit().await
    }

    /// Writes down how often a job was tried, when it is ready, and who has a durable lease on it: a lease that runs out
    /// stays here until the job's next one, and after a restart holds once more. Makes the job anew where it is missing: a removal
    /// that was said to have failed may have happened.
    pub(super) async fn put(
        &self,
        queued: &Queued,
        attempts: u32,
        delay: Duration,
        lease: Option<(LeaseId, bool)>,
    ) -> Result<(), QueueError> {
        let now_ms = now_ms();
        let mut step = self.database.write().await?;
        query(
            "INSERT INTO queue_jobs \
             (number, hash, attempts, published_at_ms, ready_at_ms, delay_ms, lease, lease_counts) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (number) DO UPDATE SET attempts = excluded.attempts, ready_at_ms = excluded.ready_at_ms, \
             delay_ms = excluded.delay_ms, lease = excluded.lease, lease_counts = excluded.lease_counts",
        )
        .bind(signed(queued.number))
        .bind(queued.job.hash.to_string())
        .bind(attempts)
        .bind(now_ms)
        .bind(now_ms.saturating_add(ms(delay)))
        .bind(ms(delay))
        .bind(lease.map(|(lease, _)| lease.to_string()))
        .bind(lease.is_none_or(|(_, counts)| counts))
        .execute(&mut *step)
        .await
        .map_err(unavailable)?;
        step.commit().await
    }

    /// Takes a job off.
    pub(super) async fn remove(&self, queued: &Queued) -> Result<(), QueueError> {
        let mut step = self.database.write().await?;
        let removed = query("DELETE FROM queue_jobs WHERE number = ?").bind(signed(queued.number));
        removed.execute(&mut *step).await.map_err(unavailable)?;
        step.commit().await
    }

    /// Makes a job a dead letter.
    pub(super) async fn set_aside(&self, queued: &Queued, reason: &FailureReason) -> Result<(), QueueError> {
        let mut step = self.database.write().await?;
        query("DELETE FROM queue_jobs WHERE number = ?")
            .bind(signed(queued.number))
            .execute(&mut *step)
            .await
            .map_err(unavailable)?;
        query("INSERT OR REPLACE INTO queue_dead_letters (hash, reason, attempts) VALUES (?, ?, ?)")
            .bind(queued.job.hash.to_string())
            .bind(reason.as_str())
            .bind(queued.attempts)
            .execute(&mut *step)
            .await
            .map_err(unavailable)?;
        step.commit().await
    }

    pub(super) async fn dead(&self) -> Result<u64, QueueError> {
        let count: i64 = query_scalar("SELECT count(*) FROM queue_dead_letters")
            .fetch_one(self.database.read())
            .await
            .map_err(unavailable)?;
        Ok(count.unsigned_abs())
    }

    pub(super) async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        let rows = query("SELECT hash, reason, attempts FROM queue_dead_letters ORDER BY number DESC LIMIT ?")
            .bind(limit)
            .fetch_all(self.database.read())
            .await
            .map_err(unavailable)?;
        rows.iter().map(|row| letter(row).map_err(QueueError::Unavailable)).collect()
    }
}

fn found(row: &SqliteRow, now_ms: i64) -> Result<Found, BoxError> {
    let (published_at_ms, ready_at_ms): (i64, i64) = (row.try_get("published_at_ms")?, row.try_get("ready_at_ms")?);
    let longest = span(0, row.try_get("delay_ms")?);
    Ok(Found {
        number: u64::try_from(row.try_get::<i64, _>("number")?)?,
        job: Job { hash: hash(row)?, payload: JobPayload::Stored },
        attempts: row.try_get("attempts")?,
        age: span(published_at_ms, now_ms),
        // No longer than it was put off for: the clock may have gone back since.
        delay: span(now_ms, ready_at_ms).min(longest),
        lease: match row.try_get::<Option<&str>, _>("lease")? {
            Some(lease) => Some((lease.parse()?, row.try_get("lease_counts")?)),
            None => None,
        },
    })
}

fn letter(row: &SqliteRow) -> Result<DeadLetter, BoxError> {
    let reason = FailureReason::new(row.try_get("reason")?);
    Ok(DeadLetter { hash: hash(row)?, reason, attempts: row.try_get("attempts")? })
}

fn hash(row: &SqliteRow) -> Result<SongHash, BoxError> {
    Ok(row.try_get::<&str, _>("hash")?.parse()?)
}

fn unavailable(error: sqlx::Error) -> QueueError {
    QueueError::Unavailable(error.into())
}

/// The wall's clock: the only one that goes on between two processes.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms)
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// From one moment to a later one.
fn span(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
