#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use super::place::{SongsPlace, admit_song, failed_song, outbox, song, song_by};
use crate::support::{at_us, hash};
use vocalizer_core::account::{SessionDigest, ShareId, ShareLink, Viewer};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{
    Charge, Expiry, Removed, RepositoryError, SongFilter, SongRepository, TrashFilter, Trashed, TrashedSong,
};
use vocalizer_core::quota::{AddressKey, Quota, Uploader, Weight};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{Song, SongId, StatusKind};

async fn split_song(songs: &Arc<dyn SongRepository>, bytes: &str) -> Song {
    let id = admit_song(songs, bytes).await.id();
    songs.advance(&hash(bytes), &Advance::FINISH_MP3).await.unwrap();
    songs.find(id).await.unwrap().unwrap()
}

async fn listed(songs: &Arc<dyn SongRepository>, viewer: Viewer, after: Option<(i64, SongId)>) -> Vec<SongId> {
    let listed = songs.list_trash(&TrashFilter { viewer, after, limit: 2 }).await.unwrap();
    listed.iter().map(|trashed| trashed.song.id()).collect()
}

pub async fn song_in_the_trash_is_hidden_but_its_bytes_are_needed(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.trash(song("a").id(), at_us(0)).await.unwrap(), None);
    let (kept, gone) = (split_song(&songs, "a").await, split_song(&songs, "b").await);
    let digest = SessionDigest::of(&Secret::new("secret".to_owned()));
    let (id, created_at) = (ShareId::random(), at_us(0));
    let link = ShareLink { id, digest, song: gone.id(), created_at, expires_at: None, mix: None };
    assert!(songs.insert_share(&link, 1, at_us(0)).await.unwrap());
    let trashed = TrashedSong { song: gone.clone(), trashed_at: at_us(7), was_waiting: false };
    let expected = Trashed { trashed: trashed.clone(), is_wanted_by_others: false };
    assert_eq!(songs.trash(gone.id(), at_us(7)).await.unwrap(), Some(expected));
    assert_eq!(songs.trash(gone.id(), at_us(8)).await.unwrap(), None, "a repeat");

    let songs = place.songs().await;
    assert_eq!(songs.find_trashed(gone.id()).await.unwrap(), Some(trashed), "after a restart");
    assert_eq!(songs.find_trashed(kept.id()).await.unwrap(), None);
    assert_eq!(songs.find(gone.id()).await.unwrap(), None);
    assert_eq!(songs.list(&SongFilter::all_of(Viewer::Anonymous)).await.unwrap(), [kept]);
    assert_eq!(songs.count().await.unwrap().iter().sum::<u64>(), 1);
    assert_eq!(songs.census().await.unwrap().trashed, 1);
    assert_eq!(songs.rename(gone.id(), gone.title()).await.unwrap(), None);
    assert_eq!(songs.retry(gone.id()).await.unwrap(), None);
    assert_eq!(songs.cancel(gone.id()).await.unwrap(), None);
    assert_eq!(songs.split_again(gone.id(), gone.target()).await.unwrap(), None);
    assert_eq!(songs.find_share(digest, at_us(1)).await.unwrap(), None);
    let other = ShareLink { id: ShareId::random(), digest: SessionDigest::of(&Secret::default()), ..link };
    assert!(matches!(songs.insert_share(&other, 2, at_us(0)).await, Err(RepositoryError::Conflict)));
    assert!(matches!(songs.admit(&gone).await, Err(RepositoryError::Conflict)), "its ID is in use");

    assert_eq!(songs.with_hash(gone.hash()).await.unwrap().as_slice(), std::slice::from_ref(&gone));
    assert_eq!(songs.with_key(gone.hash()).await.unwrap(), [], "no song waits for these stems");
    assert!(songs.known_keys().await.unwrap().contains(gone.hash()));
    let expiry = Expiry { before: at_us(1), anonymous_only: true };
    assert!(songs.expired(expiry, 9).await.unwrap().contains(&gone), "its retention continues");
    // The same bytes again: the stems are still there.
    assert_eq!(admit_song(&songs, "b").await.status().kind(), StatusKind::Split);
}

pub async fn restored_song_is_as_before(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.restore(song("a").id()).await.unwrap(), None);
    for before in [split_song(&songs, "a").await, failed_song(&songs, "b").await] {
        let id = before.id();
        let digest = SessionDigest::of(&Secret::new(id.to_string()));
        let created_at = at_us(0);
        let link = ShareLink { id: ShareId::random(), digest, song: id, created_at, expires_at: None, mix: None };
        assert!(songs.insert_share(&link, 1, at_us(0)).await.unwrap());
        assert_eq!(songs.restore(id).await.unwrap(), None, "it is not in the trash");
        songs.trash(id, at_us(7)).await.unwrap();
        let (one, other) = (place.songs().await, place.songs().await);
        let outcome = match join(one.restore(id), other.restore(id)).await {
            (Ok(Some(restored)), Ok(None)) | (Ok(None), Ok(Some(restored))) => restored,
            outcome => panic!("{outcome:?}"),
        };
        assert_eq!(outcome, before);
        assert_eq!(place.songs().await.find(id).await.unwrap(), Some(before));
        assert_eq!(songs.find_trashed(id).await.unwrap(), None);
        assert_eq!(songs.find_share(digest, at_us(1)).await.unwrap(), Some(link));
    }
    assert_eq!(songs.census().await.unwrap().trashed, 0);
}

pub async fn trashing_cancels_a_waiting_song(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (waits, runs) = (admit_song(&songs, "a").await, admit_song(&songs, "b").await);
    songs.advance(runs.hash(), &Advance::Begin).await.unwrap();
    for song in [waits, runs] {
        let trashed = songs.trash(song.id(), at_us(0)).await.unwrap().unwrap();
        assert!(trashed.trashed.was_waiting && trashed.trashed.song.status().is_cancelled());
        assert!(!trashed.is_wanted_by_others);
        assert!(!outbox(&songs).await.contains(song.hash()));
        // In one step, so that no failure leaves it cancelled outside the trash.
        let restored = songs.restore(song.id()).await.unwrap().unwrap();
        assert_eq!(restored.status().kind(), StatusKind::Uploaded);
        assert_eq!(songs.find(song.id()).await.unwrap(), Some(restored));
        assert!(outbox(&songs).await.contains(song.hash()));
        // It waits and is not remembered as cancelled any more.
        songs.advance(song.hash(), &Advance::FINISH_MP3).await.unwrap();
        assert!(!songs.trash(song.id(), at_us(0)).await.unwrap().unwrap().trashed.was_waiting);
    }

    let (one, other) = (admit_song(&songs, "c").await, admit_song(&songs, "c").await);
    assert!(songs.trash(one.id(), at_us(0)).await.unwrap().unwrap().is_wanted_by_others);
    assert_eq!(outbox(&songs).await, [hash("c")], "the other song waits");
    assert!(!songs.trash(other.id(), at_us(0)).await.unwrap().unwrap().is_wanted_by_others);
    assert_eq!(outbox(&songs).await, []);
}

pub async fn song_in_the_trash_takes_no_part_in_work(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (failed, waits) = (failed_song(&songs, "a").await, admit_song(&songs, "b").await);
    songs.trash(failed.id(), at_us(0)).await.unwrap();
    songs.trash(waits.id(), at_us(0)).await.unwrap();
    for bytes in ["a", "b"] {
        for advance in [Advance::Begin, Advance::HandBack, Advance::FINISH_MP3] {
            assert_eq!(songs.advance(&hash(bytes), &advance).await.unwrap(), [], "{advance:?}");
        }
        assert_eq!(songs.lines(&hash(bytes)).await.unwrap(), []);
    }
    assert_eq!(songs.hashes_in(StatusKind::Uploaded).await.unwrap(), []);
    // A new song with the same bytes has a job of its own.
    assert_eq!(admit_song(&songs, "a").await.status().kind(), StatusKind::Uploaded);
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn removed_song_leaves_the_trash(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (failed_song(&songs, "a").await, failed_song(&songs, "a").await);
    songs.trash(one.id(), at_us(0)).await.unwrap();
    let removed = songs.remove(other.id()).await.unwrap();
    assert_eq!(removed, Some(Removed { song: other, others_with_hash: 1 }), "one is in the trash");
    let removed = songs.remove(one.id()).await.unwrap();
    assert_eq!(removed, Some(Removed { song: one.clone(), others_with_hash: 0 }));
    assert_eq!(songs.remove(one.id()).await.unwrap(), None, "a repeat");
    assert_eq!(songs.find_trashed(one.id()).await.unwrap(), None);
    assert_eq!(songs.restore(one.id()).await.unwrap(), None);
}

pub async fn trash_is_listed_by_owner_latest_first(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (ada, ben) = (place.user().await, place.user().await);
    let mut ids = Vec::new();
    for (number, (owner, at)) in [(Some(ada), 3), (None, 5), (Some(ada), 1), (Some(ben), 4)].into_iter().enumerate() {
        let song = songs.admit(&song_by(owner, &number.to_string(), 0)).await.unwrap();
        songs.trash(song.id(), at_us(at)).await.unwrap();
        ids.push(song.id());
    }
    let us = |at: i64| i64::try_from(at_us(at).unix_timestamp_nanos() / 1000).unwrap();
    assert_eq!(listed(&songs, Viewer::User(ada), None).await, [ids[1], ids[0]]);
    assert_eq!(listed(&songs, Viewer::User(ada), Some((us(3), ids[0]))).await, [ids[2]]);
    assert_eq!(listed(&songs, Viewer::User(ada), Some((us(1), ids[2]))).await, []);
    assert_eq!(listed(&songs, Viewer::User(ben), None).await, [ids[1], ids[3]]);
    assert_eq!(listed(&songs, Viewer::Anonymous, None).await, [ids[1]]);
    assert_eq!(
        songs.trashed_before(at_us(5), 2).await.unwrap(),
        [ids[2], ids[0]],
        "the oldest, and the bound is exclusive"
    );
    assert_eq!(songs.trashed_before(at_us(6), 9).await.unwrap(), [ids[2], ids[0], ids[3], ids[1]]);
}

pub async fn trash_ages_by_the_retention_time(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (behind, ahead) = (failed_song(&songs, "a").await, failed_song(&songs, "b").await);
    songs.retention_time(at_us(100), Duration::from_secs(60)).await.unwrap();
    // The clock was set back: the song must not be old at once.
    let trashed = songs.trash(behind.id(), at_us(0)).await.unwrap().unwrap().trashed;
    assert_eq!(trashed.trashed_at, at_us(100));
    let trashed = songs.trash(ahead.id(), at_us(200)).await.unwrap().unwrap().trashed;
    assert_eq!(trashed.trashed_at, at_us(200));
}

pub async fn trash_gives_way_to_the_quota(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let key = AddressKey::new(&Secret::new("the key of the tests".to_owned()));
    let (ada, address) = (place.user().await, key.digest("192.0.2.1".parse().unwrap()));
    for (uploader, owner) in [(Uploader::User(ada), Some(ada)), (Uploader::Address(address), None)] {
        let quota = Quota { max_songs: Some(2), max_bytes: Some(100), ..Quota::default() };
        let weight = Weight { size_bytes: 40, audio: Duration::ZERO };
        let charge = Charge { uploader: Some(uploader), quota, weight, now: at_us(0) };
        let mut ids = Vec::new();
        for at in 0..4 {
            let song = song_by(owner, &SongId::random().to_string(), 0);
            ids.push(songs.admit_within(&song, &charge).await.unwrap().id());
            if at < 2 {
                assert_eq!(songs.trash_over(&uploader, &quota).await.unwrap(), None);
                // What is in the trash does not count.
                songs.trash(ids[at], at_us(10 - i64::try_from(at).unwrap())).await.unwrap();
            }
        }
        assert!(matches!(
            songs.admit_within(&song_by(owner, "another", 0), &charge).await,
            Err(RepositoryError::Exceeded(_))
        ));
        for expected in [Some(ids[1]), Some(ids[0]), None] {
            assert_eq!(songs.trash_over(&uploader, &quota).await.unwrap(), expected, "that which is there longest");
            if let Some(id) = expected {
                songs.remove(id).await.unwrap();
            }
        }
        let bytes = Quota { max_bytes: Some(79), ..Quota::default() };
        assert_eq!(songs.trash_over(&uploader, &bytes).await.unwrap(), None, "the trash is empty");
        songs.trash(ids[2], at_us(0)).await.unwrap();
        assert_eq!(songs.trash_over(&uploader, &bytes).await.unwrap(), Some(ids[2]));
    }
}
