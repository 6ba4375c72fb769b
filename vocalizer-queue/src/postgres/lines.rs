//! The SQL statements on lines: publishing, moving and withdrawing jobs, and their positions.
//!
//! A transaction locks jobs before lines, and waits for no job that [`Jobs::take`] has locked while it holds a line, so
//! that no two transactions wait for each other.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, Row as _, query};
use vocalizer_core::ports::{Job, JobLine, JobState, JobsAhead, QueueError};
use vocalizer_core::song::SongHash;

use super::jobs::{Jobs, hash, read};

/// Waiting jobs with these hashes, the turn of their line, and the number of waiting jobs before them in it.
macro_rules! waiting_jobs {
    ($hashes:literal) => {
        concat!(
            "asked AS (\
                SELECT number, hash, owner, priority, ready_at, turn, \
                    ready_at > statement_timestamp() AS is_delayed, (\
                    SELECT count(*) FROM queue_jobs AS other \
                    WHERE other.owner = job.owner AND other.priority = job.priority \
                    AND (other.ready_at, other.number) < (job.ready_at, job.number) \
                    AND (other.lease IS NULL OR other.free_at <= statement_timestamp())) AS earlier \
                FROM queue_jobs AS job JOIN queue_lines USING (owner, priority) \
                WHERE hash ",
            $hashes,
            " AND (lease IS NULL OR free_at <= statement_timestamp()))"
        )
    };
}

/// Lets concurrent publications of a hash follow each other. Statements after it see all earlier ones.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('vocalizer queue ' || $1, 0))";

const FORGET: &str = "DELETE FROM queue_dead_letters WHERE hash = $1";

/// Moves the waiting job of a hash to the end of another line if it is delivered earlier there: in an earlier round, or in
/// the same round if the other line has its turn first.
const MOVE: &str = concat!(
    "WITH ",
    waiting_jobs!("= $1"),
    ", there AS (\
        SELECT count(*) AS earlier, coalesce(min(turn), 9223372036854775807) AS turn \
        FROM queue_jobs JOIN queue_lines USING (owner, priority) \
        WHERE owner = $2 AND priority = $3 AND ready_at <= statement_timestamp() \
        AND (lease IS NULL OR free_at <= statement_timestamp())) \
    UPDATE queue_jobs AS job SET owner = $2, priority = $3, ready_at = statement_timestamp() \
    FROM asked, there \
    WHERE job.number = asked.number AND NOT asked.is_delayed \
    AND (job.lease IS NULL OR job.free_at <= statement_timestamp()) \
    AND (asked.owner, asked.priority) <> ($2, $3) \
    AND (-$3, there.earlier, there.turn) < (-asked.priority, asked.earlier, asked.turn)"
);

/// Finds the line if it has other waiting jobs than the one for this hash. It is not removed before the transaction ends,
/// but can get its turn.
const KEEP: &str = "\
    SELECT 1 FROM queue_lines WHERE owner = $2 AND priority = $3 AND EXISTS (\
        SELECT 1 FROM queue_jobs AS job \
        WHERE job.owner = $2 AND job.priority = $3 AND hash <> $1 \
        AND (lease IS NULL OR free_at <= statement_timestamp())) \
    FOR KEY SHARE";

/// Lets a line begin at the end of the round.
const JOIN: &str = "\
    INSERT INTO queue_lines (owner, priority) VALUES ($1, $2) \
    ON CONFLICT (owner, priority) DO UPDATE SET turn = DEFAULT";

const INSERT: &str = "\
    WITH fresh AS (\
        INSERT INTO queue_jobs (hash, published_at, ready_at, free_at, owner, priority, model, source, trace) \
        SELECT $1, statement_timestamp(), statement_timestamp(), statement_timestamp(), $2, $3, $4, $5, $6 \
        WHERE NOT EXISTS (\
            SELECT 1 FROM queue_jobs WHERE hash = $1 AND (lease IS NULL OR free_at <= statement_timestamp())) \
        RETURNING 1) \
    SELECT pg_notify('vocalizer_queue', '') FROM fresh";

/// Locks some lines without jobs. They are among those whose turn was longest ago.
const LOCK_UNUSED: &str = "\
    SELECT owner, priority FROM queue_lines AS line WHERE owner <> '' \
    AND turn <= (SELECT max(turn) FROM (SELECT turn FROM queue_lines ORDER BY turn LIMIT 10) AS oldest) \
    AND NOT EXISTS (SELECT 1 FROM queue_jobs AS job WHERE job.owner = line.owner AND job.priority = line.priority) \
    FOR UPDATE SKIP LOCKED";

/// Removes a locked line, unless it has got a job since it was read.
const REMOVE_UNUSED: &str = "\
    DELETE FROM queue_lines WHERE owner = $1 AND priority = $2 \
    AND NOT EXISTS (SELECT 1 FROM queue_jobs WHERE owner = $1 AND priority = $2)";

impl Jobs {
    /// Adds a job, and removes its dead letter. If one for its hash is waiting, that may move ahead instead.
    pub(super) async fn publish(&self, job: &Job, line: JobLine) -> Result<(), QueueError> {
        self.put_in_line(job.key, line, Some(job)).await
    }

    /// Moves the waiting job for a hash to another line if it is delivered earlier there.
    pub(super) async fn move_ahead(&self, hash: SongHash, line: JobLine) -> Result<(), QueueError> {
        self.put_in_line(hash, line, None).await
    }

    /// Adds a job if one is given. If none is added, the waiting one may move ahead.
    async fn put_in_line(&self, hash: SongHash, line: JobLine, job: Option<&Job>) -> Result<(), QueueError> {
        let (hash, owner) = (hash.to_string(), line.owner.map(|owner| owner.to_string()).unwrap_or_default());
        let in_line = |sql| query(sql).bind(&hash).bind(&owner).bind(line.priority);
        self.connections
            .with(async |mut connection| {
                let changed = async {
                    let mut step = connection.begin().await?;
                    query(LOCK).bind(&hash).execute(&mut *step).await?;
                    let mut jobs = 0;
                    if let Some(job) = job {
                        query(FORGET).bind(&hash).execute(&mut *step).await?;
                        let insert = in_line(INSERT).bind(job.model.map(|model| model.to_string()));
                        let insert = insert.bind((job.hash != job.key).then(|| job.hash.to_string()));
                        let insert = insert.bind(job.trace.map(|trace| trace.to_string()));
                        jobs = insert.execute(&mut *step).await?.rows_affected();
                    }
                    if jobs == 0 {
                        jobs = in_line(MOVE).execute(&mut *step).await?.rows_affected();
                    }
                    if jobs > 0 && in_line(KEEP).fetch_optional(&mut *step).await?.is_none() {
                        query(JOIN).bind(&owner).bind(line.priority).execute(&mut *step).await?;
                        for unused in query(LOCK_UNUSED).fetch_all(&mut *step).await? {
                            query(REMOVE_UNUSED)
                                .bind(unused.try_get::<String, _>("owner")?)
                                .bind(unused.try_get::<i32, _>("priority")?)
                                .execute(&mut *step)
                                .await?;
                        }
                    }
                    step.commit().await
                };
                let changed = changed.await;
                (connection, changed)
            })
            .await
    }

    /// Removes the waiting jobs for a hash.
    pub(super) async fn withdraw(&self, hash: SongHash) -> Result<(), QueueError> {
        const SQL: &str =
            "DELETE FROM queue_jobs WHERE hash = $1 AND (lease IS NULL OR free_at <= statement_timestamp())";
        let removed = self.connections.with(async |mut connection| {
            let removed = query(SQL).bind(hash.to_string()).execute(&mut *connection).await;
            (connection, removed)
        });
        removed.await.map(drop)
    }

    /// Returns the number of jobs of each model before the waiting job with a key.
    pub(super) async fn ahead(&self, key: &SongHash) -> Result<Option<JobsAhead>, QueueError> {
        // The row of the job itself, which is not before it, tells that it waits.
        const SQL: &str = "\
            WITH waiting AS (\
                SELECT hash, model, -priority AS rank, turn, \
                    row_number() OVER (PARTITION BY owner, priority ORDER BY ready_at, number) AS round \
                FROM queue_jobs JOIN queue_lines USING (owner, priority) \
                WHERE ready_at <= statement_timestamp() AND (lease IS NULL OR free_at <= statement_timestamp())) \
            SELECT waiting.model, count(*) FILTER (WHERE waiting.hash <> asked.hash) AS jobs \
            FROM waiting JOIN waiting AS asked ON asked.hash = $1 \
            AND (waiting.rank, waiting.round, waiting.turn) <= (asked.rank, asked.round, asked.turn) GROUP BY waiting.model";
        let found = self.connections.with(async |mut connection| {
            let found = query(SQL).bind(key.to_string()).fetch_all(&mut *connection).await;
            (connection, found)
        });
        let (mut ahead, rows) = (JobsAhead::new(), found.await?);
        for row in &rows {
            let (model, jobs) = read(row, |row| {
                let model = row.try_get::<Option<&str>, _>("model")?.map(str::parse).transpose()?;
                Ok((model, row.try_get::<i64, _>("jobs")?.unsigned_abs()))
            })?;
            if jobs > 0 {
                ahead.insert(model, jobs);
            }
        }
        Ok((!rows.is_empty()).then_some(ahead))
    }

    /// Returns the states of the jobs for several hashes, in the same order.
    pub(super) async fn states(&self, hashes: &[SongHash]) -> Result<Vec<JobState>, QueueError> {
        // Before a job come all with a higher priority; as many of each other line as of its own, and one more of those
        // whose turn is earlier; and before a delayed one all that are ready.
        const SQL: &str = concat!(
            "WITH ",
            waiting_jobs!("= ANY($1)"),
            ", lines AS (\
                SELECT priority, turn, size FROM queue_lines JOIN (\
                    SELECT owner, priority, count(*) AS size FROM queue_jobs \
                    WHERE ready_at <= statement_timestamp() AND (lease IS NULL OR free_at <= statement_timestamp()) \
                    GROUP BY owner, priority) AS counted USING (owner, priority)) \
            SELECT hash, (CASE WHEN is_delayed THEN \
                (SELECT coalesce(sum(size), 0) FROM lines) + (\
                    SELECT count(*) FROM queue_jobs AS other \
                    WHERE other.ready_at > statement_timestamp() AND (other.lease IS NULL OR other.free_at <= statement_timestamp()) \
                    AND (other.ready_at, other.number) < (asked.ready_at, asked.number)) \
            ELSE (\
                SELECT coalesce(sum(CASE WHEN lines.priority = asked.priority \
                    THEN least(size, earlier + (lines.turn < asked.turn)::int) ELSE size END), 0) \
                FROM lines WHERE lines.priority >= asked.priority) \
            END)::bigint AS place FROM asked \
            UNION ALL \
            SELECT hash, NULL FROM queue_jobs \
            WHERE hash = ANY($1) AND lease IS NOT NULL AND free_at > statement_timestamp() \
            ORDER BY place"
        );
        let found = self.connections.with(async |mut connection| {
            let asked: Vec<_> = hashes.iter().map(ToString::to_string).collect();
            let found = query(SQL).bind(asked).fetch_all(&mut *connection).await;
            (connection, found)
        });
        let mut states = HashMap::new();
        for row in found.await? {
            let place = |row: &PgRow| Ok((hash(row)?, row.try_get::<Option<i64>, _>("place")?));
            let (hash, place) = read(&row, place)?;
            let state = place.map_or(JobState::Leased, |place| JobState::Waiting { before: place.unsigned_abs() });
            // NULL sorts last, so a job that waits comes before another one for the same hash that is leased.
            states.entry(hash).or_insert(state);
        }
        Ok(hashes.iter().map(|hash| states.get(hash).copied().unwrap_or(JobState::Absent)).collect())
    }
}
