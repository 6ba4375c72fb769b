//! The keys of a hash.

use crate::ports::{RepositoryError, SongRepository};
use crate::song::{Song, SongHash};

/// Returns what the files of a song's hash are stored under: the hash, and the keys of results of further models.
pub(super) async fn keys_of(songs: &dyn SongRepository, song: &Song) -> Result<Vec<SongHash>, RepositoryError> {
    let mut keys = vec![*song.hash(), song.target().key];
    keys.extend(songs.results(song.hash()).await?.iter().filter_map(|result| result.key));
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
