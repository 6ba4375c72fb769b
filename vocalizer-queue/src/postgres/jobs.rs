//! The SQL statements. Each operation is atomic.
//!
//! A job is waiting if it has no lease, or an expired one. All times are the database's `statement_timestamp()`.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _, query, query_scalar};
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::{BoxError, DeadLetter, Depth, Failure, LeaseId, LeasedJob, QueueError};
use vocalizer_core::song::{FailureReason, SongHash};

use super::connections::Connections;

/// Cap for durations that the database cannot store: longer than any real lease or delay.
const MAX_SPAN: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The jobs and dead letters of a database.
pub(super) struct Jobs {
    pub(super) connections: Connections,
    pub(super) visibility: Duration,
}

/// A leased job, or the time until the next one unless the queue changes.
pub(super) enum Next<T> {
    Job(T),
    In(Option<Duration>),
}

impl Jobs {
    /// Leases the next job under this ID. The attempt counts now if `counts` is set, else with [`Self::extend`].
    pub(super) async fn take(
        &self,
        lease: LeaseId,
        capabilities: &Capabilities,
        counts: bool,
    ) -> Result<Next<LeasedJob>, QueueError> {
        // A job whose attempt does not count yet keeps its position in its line. The line goes to the end of the round.
        // Several jobs of each line are candidates, in case that another connection has locked the first.
        const TAKE: &str = "\
            WITH next AS (\
                SELECT job.number, job.owner, job.priority \
                FROM queue_lines AS line CROSS JOIN LATERAL (\
                    SELECT number FROM queue_jobs AS job \
                    WHERE job.owner = line.owner AND job.priority = line.priority \
                    AND ready_at <= statement_timestamp() AND free_at <= statement_timestamp() \
                    AND (model IS NULL OR CASE WHEN $4::text[] IS NULL THEN source IS NULL ELSE model = ANY($4) END) \
                    ORDER BY ready_at, number LIMIT 10) AS first \
                JOIN queue_jobs AS job ON job.number = first.number \
                WHERE job.ready_at <= statement_timestamp() AND job.free_at <= statement_timestamp() \
                ORDER BY line.priority DESC, line.turn, job.ready_at, job.number \
                LIMIT 1 FOR UPDATE OF job SKIP LOCKED), \
            moved AS (\
                INSERT INTO queue_lines (owner, priority) SELECT owner, priority FROM next \
                ON CONFLICT (owner, priority) DO UPDATE SET turn = DEFAULT) \
            UPDATE queue_jobs SET \
                lease = $1, lease_counts = $2, attempts = attempts + $2::int, \
                free_at = statement_timestamp() + make_interval(secs => $3), \
                ready_at = CASE WHEN $2 THEN statement_timestamp() + make_interval(secs => $3) ELSE ready_at END \
            WHERE number = (SELECT number FROM next) \
            RETURNING hash, model, source, trace, attempts + 1 - lease_counts::int AS attempt";
        const NEXT: &str = "\
            SELECT extract(epoch FROM min(greatest(ready_at, free_at)) - statement_timestamp())::float8 \
            FROM queue_jobs \
            WHERE model IS NULL OR CASE WHEN $1::text[] IS NULL THEN source IS NULL ELSE model = ANY($1) END";
        let models = capabilities.models().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        let taken = self.connections.with(async |mut connection| {
            let found = async {
                let taken =
                    query(TAKE).bind(id(lease)).bind(counts).bind(seconds(self.visibility)).bind(models.clone());
                if let Some(row) = taken.fetch_optional(&mut *connection).await? {
                    return Ok(Next::Job(row));
                }
                let next: Option<f64> = query_scalar(NEXT).bind(models).fetch_one(&mut *connection).await?;
                Ok(Next::In(next.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default())))
            };
            let found = found.await;
            (connection, found)
        });
        match taken.await? {
            Next::Job(row) => {
                let (key, attempt) = read(&row, |row| Ok((hash(row)?, number(row, "attempt")?)))?;
                let (hash, model, trace) = read(&row, |row| {
                    let source = row.try_get::<Option<&str>, _>("source")?.map(str::parse).transpose()?;
                    let model = row.try_get::<Option<&str>, _>("model")?.map(str::parse).transpose()?;
                    // A trace that cannot be read is as good as none.
                    let trace = row.try_get::<Option<&str>, _>("trace")?.and_then(|trace| trace.parse().ok());
                    Ok((source.unwrap_or(key), model, trace))
                })?;
                Ok(Next::Job(LeasedJob { lease, hash, model, key, trace, attempt, visibility: self.visibility }))
            }
            Next::In(next) => Ok(Next::In(next)),
        }
    }

    /// Releases a lease that was not delivered.
    pub(super) async fn release(&self, lease: LeaseId) -> Result<(), QueueError> {
        const SQL: &str = "\
            WITH waiting AS (\
                UPDATE queue_jobs SET \
                    lease = NULL, attempts = attempts - lease_counts::int, lease_counts = TRUE, \
                    free_at = statement_timestamp(), ready_at = least(ready_at, statement_timestamp()) \
                WHERE lease = $1 AND free_at > statement_timestamp() RETURNING 1) \
            SELECT pg_notify('vocalizer_queue', '') FROM waiting";
        self.run_for_lease(|| query(SQL).bind(id(lease))).await
    }

    /// Extends a lease by the full time; its attempt counts.
    pub(super) async fn extend(&self, lease: LeaseId) -> Result<(), QueueError> {
        const SQL: &str = "\
            UPDATE queue_jobs SET \
                attempts = attempts + 1 - lease_counts::int, lease_counts = TRUE, \
                free_at = statement_timestamp() + make_interval(secs => $2), \
                ready_at = statement_timestamp() + make_interval(secs => $2) \
            WHERE lease = $1 AND free_at > statement_timestamp()";
        self.run_for_lease(|| query(SQL).bind(id(lease)).bind(seconds(self.visibility))).await
    }

    /// Ends a lease.
    pub(super) async fn settle(&self, lease: LeaseId, failure: Option<&Failure>) -> Result<(), QueueError> {
        const DONE: &str = "DELETE FROM queue_jobs WHERE lease = $1 AND free_at > statement_timestamp()";
        const AGAIN: &str = "\
            WITH waiting AS (\
                UPDATE queue_jobs SET \
                    lease = NULL, attempts = attempts - lease_counts::int + $2::int, lease_counts = TRUE, \
                    free_at = statement_timestamp() + make_interval(secs => $3), \
                    ready_at = statement_timestamp() + make_interval(secs => $3) \
                WHERE lease = $1 AND free_at > statement_timestamp() RETURNING 1) \
            SELECT pg_notify('vocalizer_queue', '') FROM waiting";
        const NEVER: &str = "\
            WITH gone AS (\
                DELETE FROM queue_jobs WHERE lease = $1 AND free_at > statement_timestamp() \
                RETURNING hash, attempts + 1 - lease_counts::int AS attempts) \
            INSERT INTO queue_dead_letters (hash, reason, attempts) SELECT hash, $2, attempts FROM gone \
            ON CONFLICT (hash) DO UPDATE \
            SET number = DEFAULT, reason = excluded.reason, attempts = excluded.attempts";
        self.run_for_lease(|| match failure {
            None => query(DONE).bind(id(lease)),
            Some(Failure::Retry { after }) => query(AGAIN).bind(id(lease)).bind(true).bind(seconds(*after)),
            Some(Failure::Later { after }) => query(AGAIN).bind(id(lease)).bind(false).bind(seconds(*after)),
            Some(Failure::Never { reason }) => query(NEVER).bind(id(lease)).bind(reason.as_str().to_owned()),
        })
        .await
    }

    /// Runs a statement that only succeeds for a valid lease.
    async fn run_for_lease(
        &self,
        statement: impl FnOnce() -> Query<'static, Postgres, PgArguments>,
    ) -> Result<(), QueueError> {
        let settled = self.connections.with(async |mut connection| {
            let settled = statement().execute(&mut *connection).await;
            (connection, settled)
        });
        if settled.await?.rows_affected() == 0 { Err(QueueError::LeaseLost) } else { Ok(()) }
    }

    /// Returns the depth of the queue.
    pub(super) async fn depth(&self) -> Result<Depth, QueueError> {
        const SQL: &str = "\
            SELECT count(*) FILTER (WHERE waits) AS waiting, count(*) FILTER (WHERE NOT waits) AS leased, \
                (SELECT count(*) FROM queue_dead_letters) AS dead, \
                extract(epoch FROM statement_timestamp() - min(published_at) FILTER (WHERE waits))::float8 AS oldest \
            FROM (\
                SELECT published_at, lease IS NULL OR free_at <= statement_timestamp() AS waits FROM queue_jobs\
            ) AS jobs";
        let found = self.connections.with(async |mut connection| {
            let found = query(SQL).fetch_one(&mut *connection).await;
            (connection, found)
        });
        read(&found.await?, |row| {
            let count = |name| row.try_get::<i64, _>(name).map(i64::unsigned_abs);
            let oldest = row.try_get::<Option<f64>, _>("oldest")?;
            Ok(Depth {
                waiting: count("waiting")?,
                leased: Some(count("leased")?),
                dead: count("dead")?,
                oldest: oldest.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
            })
        })
    }

    /// Returns the newest dead letters, newest first.
    pub(super) async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        const SQL: &str = "SELECT hash, reason, attempts FROM queue_dead_letters ORDER BY number DESC LIMIT $1";
        let found = self.connections.with(async |mut connection| {
            let found = query(SQL).bind(i64::from(limit)).fetch_all(&mut *connection).await;
            (connection, found)
        });
        found.await?.iter().map(|row| read(row, letter)).collect()
    }
}

pub(super) fn read<T>(row: &PgRow, read: impl FnOnce(&PgRow) -> Result<T, BoxError>) -> Result<T, QueueError> {
    read(row).map_err(QueueError::Unavailable)
}

fn letter(row: &PgRow) -> Result<DeadLetter, BoxError> {
    let reason = FailureReason::new(row.try_get("reason")?);
    Ok(DeadLetter { hash: hash(row)?, reason, attempts: number(row, "attempts")? })
}

pub(super) fn hash(row: &PgRow) -> Result<SongHash, BoxError> {
    Ok(row.try_get::<&str, _>("hash")?.parse()?)
}

fn number(row: &PgRow, name: &str) -> Result<u32, BoxError> {
    Ok(row.try_get::<i32, _>(name)?.try_into()?)
}

fn id(lease: LeaseId) -> Vec<u8> {
    lease.to_bytes().to_vec()
}

fn seconds(span: Duration) -> f64 {
    span.min(MAX_SPAN).as_secs_f64()
}
