//! What a step decides, whatever the tables are kept in.

use vocalizer_core::dedupe::{UploadPlan, on_upload};
use vocalizer_core::ports::{Cursor, RepositoryError, SongCounts};
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
