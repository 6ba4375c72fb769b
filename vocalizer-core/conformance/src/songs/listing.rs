#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::place::{SongsPlace, admit_song, fail, song_by};
use crate::support::hash;
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{Cursor, SongFilter, SongRepository};
use vocalizer_core::song::{Song, StatusKind};

/// Admits songs of these users at these times, each with different bytes.
async fn upload_songs(songs: &Arc<dyn SongRepository>, uploads: &[(Option<UserId>, i64)]) -> Vec<Song> {
    let mut uploaded = Vec::new();
    for (number, &(uploader, at)) in uploads.iter().enumerate() {
        uploaded.push(songs.admit(&song_by(uploader, &number.to_string(), at)).await.unwrap());
    }
    uploaded
}

/// Sorts songs by the definition of the list's order.
fn sorted(mut songs: Vec<Song>) -> Vec<Song> {
    songs.sort_by_key(|song| (std::cmp::Reverse(song.uploaded_at()), song.id()));
    songs
}

/// Lists all songs page by page.
async fn list_pages(songs: &Arc<dyn SongRepository>, query: SongFilter, limit: u32) -> Vec<Song> {
    let mut query = SongFilter { limit: Some(limit), ..query };
    let mut all = Vec::new();
    loop {
        let page = songs.list(&query).await.unwrap();
        assert!(page.len() <= limit as usize);
        let Some(last) = page.last() else { return all };
        query.after = Some(Cursor::of(last));
        all.extend(page);
    }
}

pub async fn songs_are_listed_newest_first(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    let by = Some(user);
    let of_all = upload_songs(&songs, &[(None, 3), (by, 7), (by, 3), (None, 9), (None, 3), (by, -5)]).await;
    let listed = songs.list(&SongFilter::all_of(Viewer::User(user))).await.unwrap();
    assert_eq!(listed, sorted(of_all));
}

pub async fn songs_of_other_users_are_not_listed(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (place.user().await, place.user().await);
    let all = upload_songs(&songs, &[(Some(one), 1), (None, 2), (Some(other), 3), (Some(one), 4), (None, 5)]).await;
    for viewer in [Viewer::Anonymous, Viewer::User(one), Viewer::User(other), Viewer::User(UserId::random())] {
        let visible = sorted(all.iter().filter(|song| viewer.may_see(song)).cloned().collect());
        assert_eq!(songs.list(&SongFilter::all_of(viewer)).await.unwrap(), visible);
        assert_eq!(list_pages(&songs, SongFilter::all_of(viewer), 2).await, visible);
    }
    let with_link = Viewer::Shared(all[0].id());
    let anonymous = songs.list(&SongFilter::all_of(Viewer::Anonymous)).await.unwrap();
    assert_eq!(songs.list(&SongFilter::all_of(with_link)).await.unwrap(), anonymous, "a share link adds no song");
}

pub async fn list_filters_by_status(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    upload_songs(&songs, &[(None, 1), (Some(user), 2), (None, 3), (Some(user), 4), (None, 5), (Some(user), 6)]).await;
    songs.advance(&hash("1"), &Advance::Begin).await.unwrap();
    songs.advance(&hash("2"), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(&hash("3"), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(&hash("4"), &fail("no")).await.unwrap();
    let all = songs.list(&SongFilter::all_of(Viewer::User(user))).await.unwrap();
    for kind in StatusKind::ALL {
        let query = SongFilter { status: Some(kind), ..SongFilter::all_of(Viewer::User(user)) };
        let expected: Vec<_> = all.iter().filter(|song| song.status().kind() == kind).cloned().collect();
        assert_eq!(songs.list(&query).await.unwrap(), expected, "{kind}");
        assert_eq!(list_pages(&songs, query, 1).await, expected, "{kind}");
    }
}

pub async fn pages_are_contiguous(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    // Several songs with the same time, across page boundaries.
    let uploads: Vec<_> = (0..23).map(|number| ((number % 3 == 0).then_some(user), number / 5)).collect();
    let all = sorted(upload_songs(&songs, &uploads).await);
    let query = SongFilter::all_of(Viewer::User(user));
    for limit in [1, 2, 7, 22, 23, 100] {
        assert_eq!(list_pages(&songs, query, limit).await, all, "{limit} at a time");
    }
    assert_eq!(songs.list(&SongFilter { limit: Some(0), ..query }).await.unwrap(), []);
}

pub async fn cursor_outlives_its_song(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let all = sorted(upload_songs(&songs, &[(None, 1), (None, 2), (None, 2), (None, 2), (None, 3)]).await);
    for (at, song) in all.iter().enumerate() {
        let after = SongFilter { after: Some(Cursor::of(song)), ..SongFilter::all_of(Viewer::Anonymous) };
        songs.remove(song.id()).await.unwrap();
        // A song admitted meanwhile is newer and not on the following pages.
        songs.admit(&song_by(None, "new", 100)).await.unwrap();
        assert_eq!(songs.list(&after).await.unwrap(), all[at + 1..]);
    }
}

pub async fn songs_with_hash_include_all_owners(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (place.user().await, place.user().await);
    let mut expected = BTreeSet::new();
    for uploader in [Some(one), Some(other), None, None] {
        expected.insert(songs.admit(&song_by(uploader, "a", 0)).await.unwrap().id());
    }
    admit_song(&songs, "b").await;
    let found = songs.with_hash(&hash("a")).await.unwrap();
    assert_eq!(found.len(), 4);
    assert_eq!(found.iter().map(Song::id).collect::<BTreeSet<_>>(), expected);
    assert_eq!(songs.with_hash(&hash("unknown")).await.unwrap(), []);
}

pub async fn hashes_are_listed_once_by_status(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for bytes in ["a", "a", "b", "c", "c"] {
        admit_song(&songs, bytes).await;
    }
    songs.advance(&hash("c"), &Advance::Begin).await.unwrap();
    let hashes = async |kind| {
        let mut hashes = songs.hashes_in(kind).await.unwrap();
        hashes.sort_unstable();
        hashes
    };
    let mut waiting = [hash("a"), hash("b")];
    waiting.sort_unstable();
    assert_eq!(hashes(StatusKind::Uploaded).await, waiting);
    assert_eq!(hashes(StatusKind::Splitting).await, [hash("c")]);
    assert_eq!(hashes(StatusKind::Failed).await, []);
}

pub async fn songs_are_counted_by_status(place: &impl SongsPlace) {
    let songs = place.songs().await;
    assert_eq!(songs.count().await.unwrap(), [0; 5]);
    for bytes in ["a", "a", "a", "b", "b", "c", "d"] {
        admit_song(&songs, bytes).await;
    }
    songs.advance(&hash("a"), &Advance::Begin).await.unwrap();
    songs.advance(&hash("b"), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(&hash("c"), &fail("no")).await.unwrap();
    assert_eq!(songs.count().await.unwrap(), [0, 1, 3, 2, 1]);
}
