//! The trait that an adapter implements, and helpers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::support::{at_us, hash};
use vocalizer_core::account::UserId;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::SongRepository;
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, Title};

/// A separate repository for one test.
#[async_trait]
pub trait SongsPlace: Send + Sync {
    /// Opens the repository: empty the first time, and later as after a restart of the process.
    async fn songs(&self) -> Arc<dyn SongRepository>;

    /// Registers a new user.
    async fn user(&self) -> UserId;
}

/// Returns a new anonymous song with these bytes, `UPLOADED`.
pub(super) fn song(bytes: &str) -> Song {
    song_by(None, bytes, 0)
}

/// Returns a new song of a user, uploaded at this time.
pub(super) fn song_by(uploader: Option<UserId>, bytes: &str, at: i64) -> Song {
    let title = Title::parse(&format!("Lied „{bytes}“ 🎵"), usize::MAX).unwrap();
    let mut song = Song::begin(SongId::random(), title, hash(bytes), uploader, at_us(at));
    song.finish_upload().unwrap();
    song
}

/// Admits a new song.
pub(super) async fn admit_song(songs: &Arc<dyn SongRepository>, bytes: &str) -> Song {
    songs.admit(&song(bytes)).await.unwrap()
}

/// Admits a new song and marks it as failed.
pub(super) async fn failed_song(songs: &Arc<dyn SongRepository>, bytes: &str) -> Song {
    let song = admit_song(songs, bytes).await;
    songs.advance(song.hash(), &fail("no")).await.unwrap();
    songs.find(song.id()).await.unwrap().unwrap()
}

pub(super) fn fail(reason: &str) -> Advance {
    Advance::Fail(FailureReason::new(reason))
}

/// Returns the hashes in the outbox.
pub(super) async fn outbox(songs: &Arc<dyn SongRepository>) -> Vec<SongHash> {
    songs.pending(1_000).await.unwrap().iter().map(|entry| entry.hash).collect()
}
