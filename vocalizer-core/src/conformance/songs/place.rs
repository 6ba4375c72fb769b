//! Where songs are kept.

use std::sync::Arc;

use async_trait::async_trait;

use crate::account::UserId;
use crate::conformance::support::{at_us, hash};
use crate::dedupe::Advance;
use crate::ports::SongRepository;
use crate::song::{FailureReason, Song, SongHash, SongId, Title};

/// A repository of its own for one test.
#[async_trait]
pub trait SongsPlace: Send + Sync {
    /// Opens the repository: empty the first time, and later as a process finds it that was started anew.
    async fn songs(&self) -> Arc<dyn SongRepository>;

    /// A user who is registered there.
    async fn user(&self) -> UserId;
}

/// A new song of everybody's, with these bytes, stored and waiting.
pub(super) fn song(bytes: &str) -> Song {
    song_of(None, bytes, 0)
}

/// A new song of a user's, uploaded at a moment.
pub(super) fn song_of(uploader: Option<UserId>, bytes: &str, at: i64) -> Song {
    let title = Title::parse(&format!("Lied „{bytes}“ 🎵"), usize::MAX).unwrap();
    let mut song = Song::begin(SongId::random(), title, hash(bytes), uploader, at_us(at));
    song.finish_upload().unwrap();
    song
}

/// A song that was admitted.
pub(super) async fn admitted(songs: &Arc<dyn SongRepository>, bytes: &str) -> Song {
    songs.admit(&song(bytes)).await.unwrap()
}

/// A song that was admitted and has failed.
pub(super) async fn failed(songs: &Arc<dyn SongRepository>, bytes: &str) -> Song {
    let song = admitted(songs, bytes).await;
    songs.advance(song.hash(), &fail("no")).await.unwrap();
    songs.find(song.id()).await.unwrap().unwrap()
}

pub(super) fn fail(reason: &str) -> Advance {
    Advance::Fail(FailureReason::new(reason))
}

/// The hashes in the outbox.
pub(super) async fn wishes(songs: &Arc<dyn SongRepository>) -> Vec<SongHash> {
    songs.pending(1_000).await.unwrap().iter().map(|wish| wish.hash).collect()
}
