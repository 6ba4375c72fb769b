//! The lines of the queue in which songs wait. Compiled once for each engine.

use sqlx::query;
use vocalizer_core::account::UserId;
use vocalizer_core::ports::{JobLine, RepositoryError};
use vocalizer_core::song::SongHash;

use super::engine::{Statement, Store, repository};
use crate::sql::rows::{self, read_all};

/// Returns the lines of the waiting songs with a key.
pub(super) async fn of(store: &Store, key: &SongHash) -> Result<Vec<JobLine>, RepositoryError> {
    const SQL: &str = "\
        SELECT uploader AS owner, coalesce(priority, 0) AS priority \
        FROM songs LEFT JOIN priorities ON user_id = uploader \
        WHERE result_key = $1 AND status = 'UPLOADED' GROUP BY uploader, priority \
        ORDER BY coalesce(priority, 0) DESC, min(uploaded_at_us)";
    store
        .attempt(|| async {
            let rows = query(SQL).bind(key.to_string()).fetch_all(store.read()).await.map_err(repository)?;
            read_all(&rows, rows::line)
        })
        .await
}

/// Returns the statement that sets a user's priority.
pub(super) fn set_priority(user: UserId, priority: i32) -> Statement {
    query(
        "INSERT INTO priorities (user_id, priority) VALUES ($1, $2) \
         ON CONFLICT (user_id) DO UPDATE SET priority = excluded.priority",
    )
    .bind(user.to_string())
    .bind(i64::from(priority))
}
