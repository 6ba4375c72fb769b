#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use time::OffsetDateTime;

use super::place::{SongsPlace, song_by};
use crate::support::at_us;
use vocalizer_core::account::UserId;
use vocalizer_core::ports::{Charge, RepositoryError, SongRepository};
use vocalizer_core::quota::{AddressKey, Exceeded, Quota, Uploader, Weight};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::Song;

const HOUR: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn address(address: &str) -> Uploader {
    let key = AddressKey::new(&Secret::new("the key of the tests".to_owned()));
    Uploader::Address(key.digest(address.parse().unwrap()))
}

/// Returns the charge for a song of this size and length.
fn charge(uploader: Uploader, quota: Quota, size_bytes: u64, audio: Duration, now: OffsetDateTime) -> Charge {
    Charge { uploader: Some(uploader), quota, weight: Weight { size_bytes, audio }, now }
}

fn owner(uploader: Uploader) -> Option<UserId> {
    match uploader {
        Uploader::User(id) => Some(id),
        Uploader::Address(_) => None,
    }
}

/// Admits a new song with its own hash.
async fn admit(songs: &Arc<dyn SongRepository>, charge: &Charge) -> Result<Song, Exceeded> {
    let uploader = charge.uploader.and_then(owner);
    let song = song_by(uploader, &vocalizer_core::song::SongId::random().to_string(), 0);
    match songs.admit_within(&song, charge).await {
        Ok(song) => Ok(song),
        Err(RepositoryError::Exceeded(exceeded)) => {
            assert_eq!(songs.find(song.id()).await.unwrap(), None, "a rejected song was stored");
            assert!(!songs.pending(1_000).await.unwrap().iter().any(|entry| entry.hash == *song.hash()));
            Err(exceeded)
        }
        Err(error) => panic!("{error:?}"),
    }
}

async fn begin(songs: &Arc<dyn SongRepository>, uploader: Uploader, quota: Quota, at: i64) -> Result<(), Exceeded> {
    match songs.begin_upload(&uploader, &quota, at_us(at)).await {
        Ok(()) => Ok(()),
        Err(RepositoryError::Exceeded(exceeded)) => Err(exceeded),
        Err(error) => panic!("{error:?}"),
    }
}

pub async fn song_quota_is_enforced(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let quota = Quota { max_songs: Some(2), ..Quota::default() };
    for uploader in [Uploader::User(place.user().await), address("192.0.2.1")] {
        let charge = charge(uploader, quota, 1, HOUR, at_us(0));
        let first = admit(&songs, &charge).await.unwrap();
        admit(&songs, &charge).await.unwrap();
        let full = Err(Exceeded::Songs { max_songs: 2 });
        assert_eq!(admit(&songs, &charge).await, full);
        assert_eq!(begin(&songs, uploader, quota, 0).await, Err(Exceeded::Songs { max_songs: 2 }));
        assert_eq!(songs.admit_within(&first, &charge).await.unwrap(), first, "a repeat is not charged");
        songs.remove(first.id()).await.unwrap();
        begin(&songs, uploader, quota, 0).await.unwrap();
        admit(&songs, &charge).await.unwrap();
        assert_eq!(admit(&songs, &charge).await, full);
    }
    // Other users and addresses have their own quota; uncharged songs have none.
    admit(&songs, &charge(address("192.0.2.2"), quota, 1, HOUR, at_us(0))).await.unwrap();
    admit(&songs, &charge(Uploader::User(place.user().await), quota, 1, HOUR, at_us(0))).await.unwrap();
    songs.admit(&song_by(None, "uncharged", 0)).await.unwrap();
}

pub async fn byte_quota_is_enforced(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let quota = Quota { max_bytes: Some(100), ..Quota::default() };
    for uploader in [Uploader::User(place.user().await), address("192.0.2.1")] {
        let sized = |size_bytes| charge(uploader, quota, size_bytes, HOUR, at_us(0));
        let first = admit(&songs, &sized(60)).await.unwrap();
        assert_eq!(admit(&songs, &sized(41)).await, Err(Exceeded::Bytes { max_bytes: 100 }));
        begin(&songs, uploader, quota, 0).await.unwrap();
        admit(&songs, &sized(40)).await.unwrap();
        assert_eq!(admit(&songs, &sized(1)).await, Err(Exceeded::Bytes { max_bytes: 100 }));
        assert_eq!(begin(&songs, uploader, quota, 0).await, Err(Exceeded::Bytes { max_bytes: 100 }));
        songs.remove(first.id()).await.unwrap();
        admit(&songs, &sized(60)).await.unwrap();
    }
}

pub async fn concurrent_admissions_do_not_exceed_quota(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let of_songs = Quota { max_songs: Some(5), ..Quota::default() };
    let of_bytes = Quota { max_bytes: Some(50), ..Quota::default() };
    let of_audio = Quota { max_audio_per_day: Some(5 * HOUR), ..Quota::default() };
    for (quota, ip) in [(of_songs, "192.0.2.1"), (of_bytes, "192.0.2.2"), (of_audio, "192.0.2.3")] {
        for uploader in [Uploader::User(place.user().await), address(ip)] {
            let charge = charge(uploader, quota, 10, HOUR, at_us(0));
            let admitted = join_all((0..20).map(|_| admit(&songs, &charge))).await;
            assert_eq!(admitted.iter().filter(|admitted| admitted.is_ok()).count(), 5, "{quota:?}");
        }
    }
}

pub async fn audio_quota_recovers_over_a_day(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let max_audio = 4 * HOUR;
    let quota = Quota { max_audio_per_day: Some(max_audio), ..Quota::default() };
    let uploader = Uploader::User(place.user().await);
    let long = |audio, now| charge(uploader, quota, 1, audio, now);
    assert_eq!(admit(&songs, &long(5 * HOUR, at_us(0))).await, Err(Exceeded::TooLong { max_audio }));
    admit(&songs, &long(3 * HOUR, at_us(0))).await.unwrap();
    admit(&songs, &long(HOUR, at_us(0))).await.unwrap();
    // A quarter of the quota recovers in a quarter of the day.
    let refused = admit(&songs, &long(HOUR, at_us(0))).await;
    assert_eq!(refused, Err(Exceeded::Audio { max_audio, retry_after: DAY / 4 }));
    let refused = admit(&songs, &long(HOUR, at_us(0) + DAY / 5)).await;
    assert_eq!(refused, Err(Exceeded::Audio { max_audio, retry_after: DAY / 4 - DAY / 5 }));
    admit(&songs, &long(HOUR, at_us(0) + DAY / 4)).await.unwrap();
    // A clock that was set back delays by at most a day.
    let Err(Exceeded::Audio { retry_after, .. }) = admit(&songs, &long(max_audio, at_us(0) - 400 * DAY)).await else {
        panic!("the quota is used up");
    };
    assert_eq!(retry_after, DAY);
}

pub async fn upload_rate_recovers_over_a_minute(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let quota = Quota { max_uploads_per_minute: Some(3), ..Quota::default() };
    for uploader in [Uploader::User(place.user().await), address("2001:db8::1")] {
        let begun = join_all((0..10).map(|_| begin(&songs, uploader, quota, 0))).await;
        assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 3);
        let retry_after = Duration::from_secs(20);
        assert_eq!(begin(&songs, uploader, quota, 0).await, Err(Exceeded::Uploads { max_uploads: 3, retry_after }));
        begin(&songs, uploader, quota, 20_000_000).await.unwrap();
        assert!(begin(&songs, uploader, quota, 39_000_000).await.is_err());
    }
    // One /64 network is one uploader; the next is another.
    assert!(begin(&songs, address("2001:db8::ffff:2"), quota, 20_000_000).await.is_err());
    begin(&songs, address("2001:db8:0:1::1"), quota, 20_000_000).await.unwrap();
}

pub async fn quota_usage_survives_restart(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let uploader = address("192.0.2.1");
    let quota = Quota { max_songs: Some(1), max_uploads_per_minute: Some(1), ..Quota::default() };
    begin(&songs, uploader, quota, 0).await.unwrap();
    admit(&songs, &charge(uploader, quota, 1, HOUR, at_us(0))).await.unwrap();
    let songs = place.songs().await;
    assert_eq!(begin(&songs, uploader, quota, 0).await, Err(Exceeded::Songs { max_songs: 1 }));
    let rate = Quota { max_songs: None, ..quota };
    assert!(matches!(begin(&songs, uploader, rate, 0).await, Err(Exceeded::Uploads { .. })));
}

pub async fn unneeded_uploaders_are_deleted(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let uploader = address("192.0.2.1");
    let quota = Quota { max_songs: Some(1), max_uploads_per_minute: Some(1), ..Quota::default() };
    begin(&songs, uploader, quota, 0).await.unwrap();
    let song = admit(&songs, &charge(uploader, quota, 1, HOUR, at_us(0))).await.unwrap();
    songs.forget_uploaders(at_us(59_000_000), true).await.unwrap();
    let rate = Quota { max_songs: None, ..quota };
    assert!(begin(&songs, uploader, rate, 59_000_000).await.is_err(), "the rate limit has not recovered yet");
    assert!(begin(&songs, uploader, quota, 60_000_000).await.is_err(), "the address still has a song");
    songs.forget_uploaders(at_us(60_000_000), false).await.unwrap();
    begin(&songs, uploader, quota, 60_000_000).await.unwrap();
    assert_eq!(songs.find(song.id()).await.unwrap(), Some(song), "the song stays");
}
