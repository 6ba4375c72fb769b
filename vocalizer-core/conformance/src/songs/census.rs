#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use super::place::{SongsPlace, admit_song, fail, song_by};
use crate::support::{at_us, hash};
use vocalizer_core::account::{SessionDigest, ShareId, ShareLink};
use vocalizer_core::ports::Census;
use vocalizer_core::secret::Secret;
use vocalizer_core::song::Target;

pub async fn census_counts_what_waits_and_is_shared(place: &impl SongsPlace) {
    let (songs, ada, ben) = (place.songs().await, place.user().await, place.user().await);
    assert_eq!(songs.census().await.unwrap(), Census::default());
    let best = "best".parse().unwrap();
    let by_best = |bytes| Target { model: Some(best), stems: None, key: hash(&format!("{bytes} by best")) };
    for (owner, bytes) in [(Some(ada), "a"), (Some(ada), "b"), (Some(ben), "c"), (None, "d"), (None, "e")] {
        let song = song_by(owner, bytes, 0);
        let song = if bytes < "c" { song.with_target(by_best(bytes)) } else { song };
        songs.admit(&song).await.unwrap();
    }
    let failed = admit_song(&songs, "f").await;
    songs.advance(failed.hash(), &fail("no")).await.unwrap();
    let digest = SessionDigest::of(&Secret::new("secret".to_owned()));
    let (id, song) = (ShareId::random(), failed.id());
    let link = ShareLink { id, digest, song, created_at: at_us(0), expires_at: None, mix: None };
    assert!(songs.insert_share(&link, 1, at_us(0)).await.unwrap());
    let mut census = songs.census().await.unwrap();
    census.waiting.sort_unstable();
    let waiting = vec![(None, 3), (Some(best), 2)];
    assert_eq!(census, Census { waiting, waiting_owners: 3, shares: 1, trashed: 0 });
}
