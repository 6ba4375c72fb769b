#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::place::{SongsPlace, fail, song_by};
use crate::support::{at_us, hash};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{Expiry, SongRepository};
use vocalizer_core::song::SongId;

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn expired(songs: &Arc<dyn SongRepository>, before: OffsetDateTime, anonymous_only: bool) -> Vec<SongId> {
    let expired = songs.expired(Expiry { before, anonymous_only }, 100).await.unwrap();
    expired.iter().map(vocalizer_core::song::Song::id).collect()
}

pub async fn ended_songs_expire_oldest_first(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    let mut ids = Vec::new();
    let uploads = [
        ("split", None, 3),
        ("failed", Some(user), 1),
        ("young", None, 9),
        ("waits", None, 0),
        ("split", Some(user), 2),
    ];
    for (bytes, uploader, at) in uploads.into_iter().chain([("works", None, 0)]) {
        ids.push(songs.admit(&song_by(uploader, bytes, at)).await.unwrap().id());
    }
    songs.advance(&hash("split"), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(&hash("young"), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(&hash("failed"), &fail("no")).await.unwrap();
    songs.advance(&hash("works"), &Advance::Begin).await.unwrap();
    assert_eq!(expired(&songs, at_us(9), false).await, [ids[1], ids[4], ids[0]]);
    assert_eq!(expired(&songs, at_us(9), true).await, [ids[0]]);
    assert_eq!(expired(&songs, at_us(3), false).await, [ids[1], ids[4]], "the bound is exclusive");
    let two = songs.expired(Expiry { before: at_us(10), anonymous_only: false }, 2).await.unwrap();
    assert_eq!(two.iter().map(vocalizer_core::song::Song::id).collect::<Vec<_>>(), [ids[1], ids[4]]);
    songs.remove(ids[1]).await.unwrap();
    assert_eq!(expired(&songs, at_us(9), false).await, [ids[4], ids[0]]);
}

pub async fn retention_time_limits_clock_jumps(place: &impl SongsPlace) {
    let songs = place.songs().await;
    // The first call has only the clock.
    assert_eq!(songs.retention_time(at_us(0), HOUR).await.unwrap(), at_us(0));
    assert_eq!(songs.retention_time(at_us(5), HOUR).await.unwrap(), at_us(5));
    // The clock is set ahead and back again.
    let ahead = at_us(5) + 1_000 * HOUR;
    assert_eq!(songs.retention_time(ahead, HOUR).await.unwrap(), at_us(5) + HOUR);
    let songs = place.songs().await;
    assert_eq!(songs.retention_time(ahead, HOUR).await.unwrap(), at_us(5) + 2 * HOUR);
    assert_eq!(songs.retention_time(at_us(6), HOUR).await.unwrap(), at_us(6));
}

pub async fn song_uploaded_with_slow_clock_is_not_old(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.retention_time(at_us(100), HOUR).await.unwrap();
    let behind = songs.admit(&song_by(None, "a", 0)).await.unwrap();
    let right = songs.admit(&song_by(None, "b", 101)).await.unwrap();
    songs.advance(&hash("a"), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(&hash("b"), &Advance::FINISH_MP3).await.unwrap();
    assert_eq!(expired(&songs, at_us(100), false).await, []);
    assert_eq!(expired(&songs, at_us(101), false).await, [behind.id()]);
    assert_eq!(expired(&songs, at_us(102), false).await, [behind.id(), right.id()]);
    assert_eq!(behind.uploaded_at(), at_us(0), "the upload time is unchanged");
}
