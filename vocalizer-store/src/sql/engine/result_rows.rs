//! Reading and writing the rows of results. Compiled once for each engine.

use sqlx::query;
use vocalizer_core::ports::RepositoryError;
use vocalizer_core::song::{Song, SongHash, StemsInfo};

use super::engine::{Connection, Statement, repository};
use crate::sql::rows::{self, read};
use crate::sql::rules;

/// Returns the stored result with a key.
pub(super) async fn stored(step: &mut Connection, key: &SongHash) -> Result<Option<StemsInfo>, RepositoryError> {
    const SQL: &str = "SELECT stems, provenance, shown_key, shown_model, stem_names FROM results WHERE shown_key = $1";
    let row = query(SQL).bind(key.to_string()).fetch_optional(step).await.map_err(repository)?;
    row.as_ref().map(|row| read(row, rows::stems)).transpose()
}

/// Stores the result that a song shows, and replaces an earlier one with its key.
pub(super) async fn put(step: &mut Connection, song: &Song) -> Result<(), RepositoryError> {
    insert(song.hash(), song.stems()).execute(step).await.map(|_| ()).map_err(repository)
}

/// Inserts a result.
pub(crate) fn insert(hash: &SongHash, result: &StemsInfo) -> Statement {
    const SQL: &str = "\
        INSERT INTO results (hash, stems, provenance, shown_key, shown_model, stem_names) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (shown_key) DO UPDATE SET hash = excluded.hash, stems = excluded.stems, \
        provenance = excluded.provenance, shown_model = excluded.shown_model, stem_names = excluded.stem_names";
    query(SQL)
        .bind(hash.to_string())
        .bind(result.formats.name())
        .bind(rules::provenance(result))
        .bind(result.key.map(|key| key.to_string()))
        .bind(result.model.map(|model| model.to_string()))
        .bind(rules::stems(result.names.as_deref()))
}

/// Removes the results of a hash.
pub(super) async fn remove(step: &mut Connection, hash: &SongHash) -> Result<(), RepositoryError> {
    let deleted = query("DELETE FROM results WHERE hash = $1").bind(hash.to_string()).execute(step).await;
    deleted.map(|_| ()).map_err(repository)
}
