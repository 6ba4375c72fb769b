//! What a step decides, whatever the tables are kept in.

use std::time::Duration;

use vocalizer_core::dedupe::{UploadPlan, on_upload};
use vocalizer_core::ports::{Charge, Cursor, RepositoryError, SongCounts};
use vocalizer_core::quota::Uploader;
use vocalizer_core::song::{IllegalTransition, Song, StatusKind, Transition};

/// Whether a song is one that was admitted before; its title and its status may have changed since.
pub(crate) fn is_same(known: &Song, song: &Song) -> bool {
    Cursor::of(known) == Cursor::of(song) && known.hash() == song.hash() && known.uploader() == song.uploader()
}

/// Decides what becomes of a song that is `UPLOADED`, given all with its hash, and takes it there.
pub(crate) fn settle(mut song: Song, same_bytes: &[Song]) -> Result<(Song, UploadPlan), RepositoryError> {
    let plan = on_upload(same_bytes.iter().filter(|other| other.id() != song.id()).map(Song::status));
    walk(&mut song, plan.transitions().iter().cloned())?;
    Ok((song, plan))
}

/// Applies transitions that the rules gave out, and that cannot fail.
pub(crate) fn walk(song: &mut Song, transitions: impl IntoIterator<Item = Transition>) -> Result<(), RepositoryError> {
    let walked: Result<(), IllegalTransition> = transitions.into_iter().try_for_each(|step| song.apply(step));
    walked.map_err(|error| RepositoryError::Corrupt(error.into()))
}

/// What is kept of the address that a song came from: its digest, where songs of an address are counted.
pub(crate) fn kept_address(charge: &Charge) -> Option<String> {
    match charge.uploader {
        Some(Uploader::Address(digest)) if charge.quota.has_totals() => Some(digest.to_string()),
        _ => None,
    }
}

/// A number of bytes as it is kept.
pub(crate) fn bytes(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}

/// A span of time as it is kept, in microseconds.
pub(crate) fn span(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Counts in the order in which they are told.
pub(crate) fn counts(counted: Vec<(StatusKind, u64)>) -> SongCounts {
    let mut counts = SongCounts::default();
    for (kind, songs) in counted {
        if let Some((_, count)) = StatusKind::ALL.iter().zip(&mut counts).find(|&(&known, _)| known == kind) {
            *count = songs;
        }
    }
    counts
}
