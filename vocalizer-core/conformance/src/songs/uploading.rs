#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::place::{SongsPlace, song_by};
use crate::support::at_us;
use vocalizer_core::account::UserId;
use vocalizer_core::api::id::UploadId;
use vocalizer_core::ports::{Charge, PartialUpload, RepositoryError, SongRepository, UploadBounds, UploadTotals};
use vocalizer_core::quota::{Exceeded, Quota, Uploader, Weight};
use vocalizer_core::song::SongId;

const MANY: UploadTotals = UploadTotals { uploads: 1_000, bytes: u64::MAX };

fn bounds() -> UploadBounds {
    UploadBounds { per_uploader: MANY, total: MANY, quota: Quota::default() }
}

fn upload(user: UserId, size_bytes: u64) -> PartialUpload {
    PartialUpload {
        id: UploadId::random(),
        owner: Some(user),
        uploader: Uploader::User(user).to_string(),
        size_bytes,
        received_bytes: 0,
        fields: [("title".to_owned(), "„Lied“ 🎵 \"\u{0}".to_owned())].into(),
        song: None,
        expires_at: at_us(9),
    }
}

async fn create(
    songs: &Arc<dyn SongRepository>,
    upload: &PartialUpload,
    bounds: &UploadBounds,
) -> Result<bool, RepositoryError> {
    let uploader = Uploader::User(upload.owner.expect("these uploads have owners"));
    songs.create_upload(upload, &uploader, bounds).await
}

async fn stored(songs: &Arc<dyn SongRepository>, upload: PartialUpload) -> PartialUpload {
    assert!(create(songs, &upload, &bounds()).await.unwrap());
    upload
}

pub async fn created_upload_is_found_unchanged(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let upload = stored(&songs, upload(place.user().await, 1 << 40)).await;
    let anonymous = PartialUpload { id: UploadId::random(), owner: None, ..upload.clone() };
    let user = upload.owner.unwrap();
    assert!(songs.create_upload(&anonymous, &Uploader::User(user), &bounds()).await.unwrap());
    for upload in [&upload, &anonymous] {
        assert_eq!(place.songs().await.find_upload(upload.id).await.unwrap().as_ref(), Some(upload));
    }
    assert_eq!(songs.find_upload(UploadId::random()).await.unwrap(), None);
    let repeated = create(&songs, &upload, &bounds()).await;
    assert!(matches!(repeated, Err(RepositoryError::Conflict)), "{repeated:?}");
    let mut all = songs.uploads().await.unwrap();
    all.sort_unstable();
    let mut expected = [upload.id, anonymous.id];
    expected.sort_unstable();
    assert_eq!(all, expected);
}

pub async fn upload_advances_only_from_its_offset(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let upload = stored(&songs, upload(place.user().await, 10)).await;
    assert!(!songs.advance_upload(upload.id, 1, 4, at_us(20)).await.unwrap(), "a wrong offset");
    assert!(!songs.advance_upload(UploadId::random(), 0, 4, at_us(20)).await.unwrap(), "an unknown upload");
    let advanced = join_all((1..=10).map(|to| songs.advance_upload(upload.id, 0, to, at_us(20)))).await;
    assert_eq!(advanced.into_iter().filter(|advanced| *advanced.as_ref().unwrap()).count(), 1);
    let found = place.songs().await.find_upload(upload.id).await.unwrap().unwrap();
    assert!((1..=10).contains(&found.received_bytes));
    assert_eq!(PartialUpload { received_bytes: found.received_bytes, expires_at: at_us(20), ..upload }, found);
}

pub async fn finished_upload_does_not_count(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    let (one, other) = (stored(&songs, upload(user, 10)).await, stored(&songs, upload(user, 5)).await);
    assert_eq!(songs.unfinished_uploads().await.unwrap(), UploadTotals { uploads: 2, bytes: 15 });
    let song = SongId::random();
    songs.finish_upload(one.id, song).await.unwrap();
    songs.finish_upload(UploadId::random(), song).await.unwrap();
    assert_eq!(place.songs().await.find_upload(one.id).await.unwrap().unwrap().song, Some(song));
    assert!(!songs.advance_upload(one.id, 0, 1, at_us(20)).await.unwrap(), "it is finished");
    assert_eq!(songs.unfinished_uploads().await.unwrap(), UploadTotals { uploads: 1, bytes: 5 });
    assert!(songs.remove_upload(other.id).await.unwrap());
    assert_eq!(songs.unfinished_uploads().await.unwrap(), UploadTotals::default());
}

pub async fn unfinished_uploads_are_bounded(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let (one, other) = (place.user().await, place.user().await);
    let per_uploader = UploadTotals { uploads: 2, bytes: 20 };
    let bounds = UploadBounds { per_uploader, total: UploadTotals { uploads: 4, bytes: 35 }, quota: Quota::default() };
    assert!(create(&songs, &upload(one, 10), &bounds).await.unwrap());
    let refused = create(&songs, &upload(one, 11), &bounds).await;
    assert!(
        matches!(refused, Err(RepositoryError::Exceeded(Exceeded::UnfinishedBytes { max_bytes: 20 }))),
        "{refused:?}"
    );
    assert!(create(&songs, &upload(one, 10), &bounds).await.unwrap());
    let refused = create(&songs, &upload(one, 1), &bounds).await;
    assert!(matches!(refused, Err(RepositoryError::Exceeded(Exceeded::Unfinished { max_uploads: 2 }))), "{refused:?}");
    assert!(!create(&songs, &upload(other, 16), &bounds).await.unwrap(), "36 bytes in total");
    assert!(create(&songs, &upload(other, 7), &bounds).await.unwrap());
    assert!(create(&songs, &upload(other, 8), &bounds).await.unwrap());
    assert!(!create(&songs, &upload(place.user().await, 0), &bounds).await.unwrap(), "five in total");
    assert_eq!(songs.unfinished_uploads().await.unwrap(), UploadTotals { uploads: 4, bytes: 35 });
}

pub async fn concurrent_uploads_do_not_exceed_bounds(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let (ada, bob) = (place.user().await, place.user().await);
    let per_uploader = UploadTotals { uploads: 3, bytes: 100 };
    let bounds = UploadBounds { per_uploader, total: UploadTotals { uploads: 5, bytes: 100 }, quota: Quota::default() };
    let uploads: Vec<_> = (0..20).map(|at| upload(if at % 2 == 0 { ada } else { bob }, 1)).collect();
    let created =
        uploads.iter().enumerate().map(|(at, upload)| create(if at % 3 == 0 { &one } else { &other }, upload, &bounds));
    let created = join_all(created).await.into_iter().filter(|created| matches!(created, Ok(true))).count();
    assert_eq!(created, 5);
    assert_eq!(one.unfinished_uploads().await.unwrap(), UploadTotals { uploads: 5, bytes: 5 });
}

pub async fn upload_counts_towards_quota(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    let quota = Quota { max_songs: Some(3), max_bytes: Some(100), ..Quota::default() };
    let bounds = UploadBounds { quota, ..bounds() };
    let weight = Weight { size_bytes: 50, audio: Duration::ZERO };
    let charge = Charge { uploader: Some(Uploader::User(user)), quota, weight, now: at_us(0) };
    songs.admit_within(&song_by(Some(user), "a", 0), &charge).await.unwrap();
    let refused = create(&songs, &upload(user, 51), &bounds).await;
    assert!(matches!(refused, Err(RepositoryError::Exceeded(Exceeded::Bytes { max_bytes: 100 }))), "{refused:?}");
    assert!(create(&songs, &upload(user, 30), &bounds).await.unwrap());
    let refused = create(&songs, &upload(user, 21), &bounds).await;
    assert!(matches!(refused, Err(RepositoryError::Exceeded(Exceeded::Bytes { max_bytes: 100 }))), "{refused:?}");
    assert!(create(&songs, &upload(user, 1), &bounds).await.unwrap());
    let refused = create(&songs, &upload(user, 1), &bounds).await;
    assert!(matches!(refused, Err(RepositoryError::Exceeded(Exceeded::Songs { max_songs: 3 }))), "{refused:?}");
}

pub async fn upload_is_removed_once(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let upload = stored(&songs, upload(place.user().await, 10)).await;
    let removed = join_all((0..5).map(|_| songs.remove_upload(upload.id))).await;
    assert_eq!(removed.into_iter().filter(|removed| *removed.as_ref().unwrap()).count(), 1);
    assert_eq!(place.songs().await.find_upload(upload.id).await.unwrap(), None);
}

pub async fn expired_uploads_are_listed_oldest_first(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let user = place.user().await;
    let at = |at: i64| PartialUpload { expires_at: at_us(at), ..upload(user, 1) };
    let (new, old, middle) = (at(30), at(10), at(20));
    for upload in [&new, &old, &middle] {
        stored(&songs, upload.clone()).await;
    }
    songs.finish_upload(old.id, SongId::random()).await.unwrap();
    assert_eq!(songs.expired_uploads(at_us(9), 10).await.unwrap(), []);
    assert_eq!(songs.expired_uploads(at_us(20), 10).await.unwrap(), [old.id, middle.id]);
    assert_eq!(songs.expired_uploads(at_us(30), 2).await.unwrap(), [old.id, middle.id]);
    assert!(songs.advance_upload(middle.id, 0, 1, at_us(40)).await.unwrap());
    assert_eq!(songs.expired_uploads(at_us(30), 10).await.unwrap(), [old.id, new.id]);
}
