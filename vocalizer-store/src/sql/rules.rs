//! Transaction rules, independent of the engine.

use std::time::Duration;

use vocalizer_core::dedupe::{self, UploadPlan};
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Charge, Cursor, RepositoryError, SongCounts};
use vocalizer_core::quota::Uploader;
use vocalizer_core::song::{IllegalTransition, Label, Song, SongFacts, StatusKind, StemsInfo};

/// Whether both are the same admitted song; its title and status may have changed since.
pub(crate) fn is_same(known: &Song, song: &Song) -> bool {
    Cursor::of(known) == Cursor::of(song) && known.hash() == song.hash() && known.uploader() == song.uploader()
}

/// Decides how an `UPLOADED` song continues, given all songs with its hash and the stored result of its key, and applies the
/// transitions.
pub(crate) fn settle(
    mut song: Song,
    same_bytes: &[Song],
    stored: Option<StemsInfo>,
) -> Result<(Song, UploadPlan), RepositoryError> {
    let id = song.id();
    let others: Vec<_> = same_bytes.iter().filter(|other| other.id() != id).collect();
    let plan = dedupe::settle(&mut song, &others, stored).map_err(illegal)?;
    Ok((song, plan))
}

/// Converts names of stems to their stored form.
pub(crate) fn stems(names: Option<&[Stem]>) -> Option<String> {
    names.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// Converts the labels of a song to their stored form. None has a line break.
pub(crate) fn labels(song: &Song) -> Option<String> {
    let labels: Vec<_> = song.labels().iter().map(Label::as_str).collect();
    (!labels.is_empty()).then(|| labels.join("\n"))
}

/// Converts an error of the rules, which cannot fail.
pub(crate) fn illegal(error: IllegalTransition) -> RepositoryError {
    RepositoryError::Corrupt(error.into())
}

/// Converts the provenance of stems to its stored form.
pub(crate) fn provenance(stems: &StemsInfo) -> Option<String> {
    // A struct of texts and numbers always has a form in JSON.
    stems.provenance.as_ref().and_then(|provenance| serde_json::to_string(provenance).ok())
}

/// Returns the address to store with a song: its digest, if songs are counted per address.
pub(crate) fn kept_address(charge: &Charge) -> Option<String> {
    match charge.uploader {
        Some(Uploader::Address(digest)) if charge.quota.has_totals() => Some(digest.to_string()),
        _ => None,
    }
}

/// Converts the length of a song to its stored form.
pub(crate) fn duration_ms(facts: &SongFacts) -> Option<i64> {
    facts.duration_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Converts a number of bytes to its stored form.
pub(crate) fn bytes(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}

/// Converts a duration to its stored form, microseconds.
pub(crate) fn span(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Converts counts to the order of [`StatusKind::ALL`].
pub(crate) fn counts(counted: Vec<(StatusKind, u64)>) -> SongCounts {
    let mut counts = SongCounts::default();
    for (kind, songs) in counted {
        if let Some((_, count)) = StatusKind::ALL.iter().zip(&mut counts).find(|&(&known, _)| known == kind) {
            *count = songs;
        }
    }
    counts
}

/// Converts a database error to the port's error. `is_corrupt` recognizes the engine's codes of corrupt data.
pub(crate) fn repository(error: sqlx::Error, is_corrupt: fn(&str) -> bool) -> RepositoryError {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() || cause.is_foreign_key_violation() => {
            RepositoryError::Conflict
        }
        sqlx::Error::Database(cause) if cause.code().is_some_and(|code| is_corrupt(&code)) => {
            RepositoryError::Corrupt(error.into())
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => RepositoryError::Corrupt(error.into()),
        _ => RepositoryError::Unavailable(error.into()),
    }
}
