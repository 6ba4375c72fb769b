#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use futures_util::future::join_all;
use time::OffsetDateTime;

use super::place::{SongsPlace, admit_song, song};
use crate::support::at_us;
use vocalizer_core::account::{SessionDigest, ShareId, ShareLink};
use vocalizer_core::api::ShareMix;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{RepositoryError, SongRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongId;

fn link(song: SongId, secret: &str, created_at: i64, expires_at: Option<OffsetDateTime>) -> ShareLink {
    let digest = SessionDigest::of(&Secret::new(secret.to_owned()));
    ShareLink { id: ShareId::random(), digest, song, created_at: at_us(created_at), expires_at, mix: None }
}

async fn stored(songs: &Arc<dyn SongRepository>, link: ShareLink) -> ShareLink {
    assert!(songs.insert_share(&link, 100, at_us(0)).await.unwrap());
    link
}

async fn is_found(songs: &Arc<dyn SongRepository>, link: &ShareLink) -> bool {
    songs.find_share(link.digest, at_us(1)).await.unwrap().is_some()
}

pub async fn stored_share_is_found_unchanged(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admit_song(&songs, "a").await.id();
    let mix = ShareMix::default().with_level(Stem::VOCALS, 0.0).with_level("kick".parse().unwrap(), 1.3);
    let whole = mix.clone().with_start_ms(7).with_loop_ms(1, u64::from(u32::MAX));
    for mix in [None, Some(ShareMix::default()), Some(mix), Some(whole)] {
        let link = ShareLink { mix, ..link(song, &ShareId::random().to_string(), -7, Some(at_us(123_456))) };
        let link = stored(&songs, link).await;
        assert_eq!(place.songs().await.find_share(link.digest, at_us(0)).await.unwrap(), Some(link));
    }
}

pub async fn share_is_found_until_it_expires(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admit_song(&songs, "a").await.id();
    let forever = stored(&songs, link(song, "forever", 0, None)).await;
    let brief = stored(&songs, link(song, "brief", 0, Some(at_us(9)))).await;
    assert_eq!(songs.find_share(brief.digest, at_us(8)).await.unwrap(), Some(brief.clone()));
    assert_eq!(songs.find_share(brief.digest, at_us(9)).await.unwrap(), None);
    assert_eq!(songs.find_share(forever.digest, at_us(i64::from(u32::MAX))).await.unwrap(), Some(forever));
    let unknown = link(song, "unknown", 0, None);
    assert_eq!(songs.find_share(unknown.digest, at_us(0)).await.unwrap(), None);
}

pub async fn shares_are_listed_by_song_newest_first(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    let old = stored(&songs, link(one, "old", 1, Some(at_us(2)))).await;
    let new = stored(&songs, link(one, "new", 3, None)).await;
    let foreign = stored(&songs, link(other, "foreign", 2, None)).await;
    assert_eq!(songs.shares(one).await.unwrap(), [new, old]);
    assert_eq!(songs.shares(other).await.unwrap(), [foreign]);
    assert_eq!(songs.shares(SongId::random()).await.unwrap(), []);
}

pub async fn share_needs_existing_song_and_unused_secret(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song_id = admit_song(&songs, "a").await.id();
    let known = stored(&songs, link(song_id, "known", 0, None)).await;
    let same_digest = link(song_id, "known", 0, None);
    let same_id = ShareLink { id: known.id, ..link(song_id, "other", 0, None) };
    for refused in [known.clone(), same_digest, same_id, link(song("b").id(), "b", 0, None)] {
        let answer = songs.insert_share(&refused, 100, at_us(0)).await;
        assert!(matches!(answer, Err(RepositoryError::Conflict)), "{answer:?}");
    }
    assert_eq!(songs.shares(song_id).await.unwrap(), [known]);
}

pub async fn shares_of_a_song_are_limited(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let song = admit_song(&one, "a").await.id();
    let links: Vec<_> = (0..20).map(|number| link(song, &number.to_string(), number, Some(at_us(9)))).collect();
    let stored = links.iter().enumerate().map(|(at, link)| {
        let songs = if at % 2 == 0 { &one } else { &other };
        songs.insert_share(link, 5, at_us(0))
    });
    let stored = join_all(stored).await.into_iter().filter(|stored| *stored.as_ref().unwrap()).count();
    assert_eq!((stored, one.shares(song).await.unwrap().len()), (5, 5));
    assert!(!one.insert_share(&link(song, "too many", 0, None), 5, at_us(8)).await.unwrap());
    assert!(one.insert_share(&link(song, "room", 0, None), 5, at_us(9)).await.unwrap(), "the others are expired");
    assert_eq!(one.shares(song).await.unwrap().len(), 1);
}

pub async fn revoked_share_is_not_found(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "b").await.id());
    let (revoked, kept) =
        (stored(&songs, link(one, "revoked", 0, None)).await, stored(&songs, link(one, "kept", 0, None)).await);
    assert!(!songs.revoke_share(other, revoked.id).await.unwrap(), "a link of another song");
    assert!(is_found(&songs, &revoked).await);
    assert!(songs.revoke_share(one, revoked.id).await.unwrap());
    assert!(!songs.revoke_share(one, revoked.id).await.unwrap(), "a repeat");
    assert!(!is_found(&place.songs().await, &revoked).await);
    assert!(is_found(&songs, &kept).await);
}

pub async fn removed_song_has_no_shares(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (admit_song(&songs, "a").await.id(), admit_song(&songs, "a").await.id());
    let (gone, kept) =
        (stored(&songs, link(one, "gone", 0, None)).await, stored(&songs, link(other, "kept", 0, None)).await);
    songs.remove(one).await.unwrap();
    assert!(!is_found(&songs, &gone).await);
    assert_eq!(songs.shares(one).await.unwrap(), []);
    assert!(is_found(&songs, &kept).await, "the same bytes, but another song");
}

pub async fn expired_shares_are_deleted(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let song = admit_song(&songs, "a").await.id();
    stored(&songs, link(song, "first", 1, Some(at_us(5)))).await;
    let second = stored(&songs, link(song, "second", 2, Some(at_us(6)))).await;
    let forever = stored(&songs, link(song, "forever", 3, None)).await;
    assert_eq!(songs.forget_expired_shares(at_us(5)).await.unwrap(), 1);
    assert_eq!(songs.shares(song).await.unwrap(), [forever, second]);
}
