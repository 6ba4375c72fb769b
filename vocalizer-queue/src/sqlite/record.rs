//! The queue's tables.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query, query_scalar};
use vocalizer_core::ports::{BoxError, DeadLetter, Job, JobLine, JobPayload, LeaseId, QueueError};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_sql::Migrations;
use vocalizer_sql::sqlite::Database;

use crate::schedule::Queued;

const MIGRATIONS: Migrations = Migrations {
    table: "queue_migrations",
    prefix: "queue ",
    all: &[
        (1, "jobs", include_str!("../../migrations/sqlite/0001_jobs.sql")),
        (2, "delays", include_str!("../../migrations/sqlite/0002_delays.sql")),
        (3, "durable leases", include_str!("../../migrations/sqlite/0003_durable_leases.sql")),
        (4, "lines", include_str!("../../migrations/sqlite/0004_lines.sql")),
        (5, "models", include_str!("../../migrations/sqlite/0005_models.sql")),
        (6, "traces", include_str!("../../migrations/sqlite/0006_traces.sql")),
    ],
};

/// The durable state of the queue.
pub(super) struct Record {
    database: Database,
}

/// A job loaded from the file.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) job: Job,
    pub(super) line: JobLine,
    pub(super) attempts: u32,
    pub(super) age: Duration,
    pub(super) delay: Duration,
    /// Its durable lease, if any, and whether the attempt counts.
    pub(super) lease: Option<(LeaseId, bool)>,
}

impl Record {
    pub(super) async fn open(path: &Path) -> Result<Self, QueueError> {
        let database = Database::open(path, 1).await.map_err(unavailable)?;
        database.migrate(&MIGRATIONS).await.map_err(unavailable)?;
        Ok(Self { database })
    }

    /// Returns all jobs in delivery order.
    pub(super) async fn jobs(&self) -> Result<Vec<Found>, QueueError> {
        let rows = query(
            "SELECT number, hash, owner, priority, attempts, published_at_ms, ready_at_ms, delay_ms, lease, lease_counts, \
             model, source, trace FROM queue_jobs \
             ORDER BY ready_at_ms, attempts, number",
        )
        .fetch_all(self.database.read())
        .await
        .map_err(unavailable)?;
        let now_ms = now_ms();
        rows.iter().map(|row| found(row, now_ms).map_err(QueueError::Unavailable)).collect()
    }

    /// Inserts a new job and removes its dead letter.
    pub(super) async fn insert(&self, number: u64, job: &Job, line: JobLine) -> Result<(), QueueError> {
        let mut step = self.database.write().await.map_err(unavailable)?;
        query("DELETE FROM queue_dead_letters WHERE hash = ?")
            .bind(job.key.to_string())
            .execute(&mut *step)
            .await
            .map_err(unavailable)?;
        query(
            "INSERT INTO queue_jobs \
             (number, hash, attempts, published_at_ms, ready_at_ms, delay_ms, owner, priority, model, source, trace) \
             VALUES (?1, ?2, 0, ?3, ?3, 0, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(signed(number))
        .bind(job.key.to_string())
        .bind(now_ms())
        .bind(line.owner.map(|owner| owner.to_string()))
        .bind(line.priority)
        .bind(job.model.map(|model| model.to_string()))
        .bind(source(job))
        .bind(job.trace.map(|trace| trace.to_string()))
        .execute(&mut *step)
        .await
        .map_err(unavailable)?;
        step.commit().await.map_err(unavailable)
    }

    /// Removes the dead letter of a hash.
    pub(super) async fn remove_dead_letter(&self, hash: &SongHash) -> Result<(), QueueError> {
        let mut step = self.database.write().await.map_err(unavailable)?;
        let removed = query("DELETE FROM queue_dead_letters WHERE hash = ?").bind(hash.to_string());
        removed.execute(&mut *step).await.map_err(unavailable)?;
        step.commit().await.map_err(unavailable)
    }

    /// Writes the attempts, the ready time and the durable lease of a job. An expired lease remains here until the next
    /// write, and lasts once more after a restart. Inserts the job if it is missing: a removal that reported an error
    /// may have succeeded.
    pub(super) async fn put(
        &self,
        queued: &Queued,
        attempts: u32,
        delay: Duration,
        lease: Option<(LeaseId, bool)>,
    ) -> Result<(), QueueError> {
        let now_ms = now_ms();
        let mut step = self.database.write().await.map_err(unavailable)?;
        query(
            "INSERT INTO queue_jobs \
             (number, hash, attempts, published_at_ms, ready_at_ms, delay_ms, lease, lease_counts, owner, priority, \
             model, source, trace) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (number) DO UPDATE SET attempts = excluded.attempts, ready_at_ms = excluded.ready_at_ms, \
             delay_ms = excluded.delay_ms, lease = excluded.lease, lease_counts = excluded.lease_counts",
        )
        .bind(signed(queued.number))
        .bind(queued.job.key.to_string())
        .bind(attempts)
        .bind(now_ms)
        .bind(now_ms.saturating_add(ms(delay)))
        .bind(ms(delay))
        .bind(lease.map(|(lease, _)| lease.to_string()))
        .bind(lease.is_none_or(|(_, counts)| counts))
        .bind(queued.line.owner.map(|owner| owner.to_string()))
        .bind(queued.line.priority)
        .bind(queued.job.model.map(|model| model.to_string()))
        .bind(source(&queued.job))
        .bind(queued.job.trace.map(|trace| trace.to_string()))
        .execute(&mut *step)
        .await
        .map_err(unavailable)?;
        step.commit().await.map_err(unavailable)
    }

    /// Writes the line of a job.
    pub(super) async fn set_line(&self, queued: &Queued) -> Result<(), QueueError> {
        let mut step = self.database.write().await.map_err(unavailable)?;
        let moved = query("UPDATE queue_jobs SET owner = ?, priority = ? WHERE number = ?")
            .bind(queued.line.owner.map(|owner| owner.to_string()))
            .bind(queued.line.priority)
            .bind(signed(queued.number));
        moved.execute(&mut *step).await.map_err(unavailable)?;
        step.commit().await.map_err(unavailable)
    }

    /// Removes a job.
    pub(super) async fn remove(&self, queued: &Queued) -> Result<(), QueueError> {
        let mut step = self.database.write().await.map_err(unavailable)?;
        let removed = query("DELETE FROM queue_jobs WHERE number = ?").bind(signed(queued.number));
        removed.execute(&mut *step).await.map_err(unavailable)?;
        step.commit().await.map_err(unavailable)
    }

    /// Replaces a job by its dead letter.
    pub(super) async fn add_dead_letter(&self, queued: &Queued, reason: &FailureReason) -> Result<(), QueueError> {
        let mut step = self.database.write().await.map_err(unavailable)?;
        query("DELETE FROM queue_jobs WHERE number = ?")
            .bind(signed(queued.number))
            .execute(&mut *step)
            .await
            .map_err(unavailable)?;
        query("INSERT OR REPLACE INTO queue_dead_letters (hash, reason, attempts) VALUES (?, ?, ?)")
            .bind(queued.job.key.to_string())
            .bind(reason.as_str())
            .bind(queued.attempts)
            .execute(&mut *step)
            .await
            .map_err(unavailable)?;
        step.commit().await.map_err(unavailable)
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
        job: job(row)?,
        line: JobLine {
            owner: row.try_get::<Option<&str>, _>("owner")?.map(str::parse).transpose()?,
            priority: row.try_get("priority")?,
        },
        attempts: row.try_get("attempts")?,
        age: span(published_at_ms, now_ms),
        // Capped at the original delay: the clock may have been set back.
        delay: span(now_ms, ready_at_ms).min(longest),
        lease: match row.try_get::<Option<&str>, _>("lease")? {
            Some(lease) => Some((lease.parse()?, row.try_get("lease_counts")?)),
            None => None,
        },
    })
}

fn job(row: &SqliteRow) -> Result<Job, BoxError> {
    let key = hash(row)?;
    let hash = row.try_get::<Option<&str>, _>("source")?.map(str::parse).transpose()?.unwrap_or(key);
    let model = row.try_get::<Option<&str>, _>("model")?.map(str::parse).transpose()?;
    // A trace that cannot be read is as good as none.
    let trace = row.try_get::<Option<&str>, _>("trace")?.and_then(|trace| trace.parse().ok());
    Ok(Job { model, key, trace, ..Job::new(hash, JobPayload::Stored) })
}

/// Returns the hash of the song if it is not the key.
fn source(job: &Job) -> Option<String> {
    (job.hash != job.key).then(|| job.hash.to_string())
}

fn letter(row: &SqliteRow) -> Result<DeadLetter, BoxError> {
    let reason = FailureReason::new(row.try_get("reason")?);
    Ok(DeadLetter { hash: hash(row)?, reason, attempts: row.try_get("attempts")? })
}

fn hash(row: &SqliteRow) -> Result<SongHash, BoxError> {
    Ok(row.try_get::<&str, _>("hash")?.parse()?)
}

fn unavailable(error: impl Into<BoxError>) -> QueueError {
    QueueError::Unavailable(error.into())
}

/// Returns the system time, the only clock that continues across processes.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ms)
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the time between two timestamps, 0 if negative.
fn span(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
