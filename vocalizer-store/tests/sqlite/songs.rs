use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, query, raw_sql};
use time::{Duration, OffsetDateTime};
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::ports::{Cursor, RepositoryError, SongQuery, SongRepository};
use vocalizer_core::song::{Song, StoredSong};

use super::support::{Place, song, user};

#[tokio::test]
async fn a_song_of_a_user_who_is_gone_is_refused() {
    let place = Place::new();
    let store = place.open().await;
    let stray = song("a", Some(UserId::random()), OffsetDateTime::UNIX_EPOCH);
    assert!(matches!(store.admit(&stray).await, Err(RepositoryError::Conflict)));
    assert_eq!(SongRepository::find(&store, stray.id()).await.unwrap(), None);
    assert_eq!(store.pending(10).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_bytes_under_one_identifier_are_another_song_when_their_uploader_is_another() {
    let place = Place::new();
    let store = place.open().await;
    let (one, other) = (user(&store).await, user(&store).await);
    let mine = store.admit(&song("a", Some(one), OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    for uploader in [Some(other), None] {
        let theirs: Song = StoredSong { uploader, ..mine.clone().into() }.into();
        assert!(matches!(store.admit(&theirs).await, Err(RepositoryError::Conflict)));
    }
    assert_eq!(SongRepository::find(&store, mine.id()).await.unwrap(), Some(mine));
}

#[tokio::test]
async fn a_song_whose_bytes_are_not_safely_stored_is_refused() {
    let place = Place::new();
    let store = place.open().await;
    let StoredSong { id, title, hash, uploader, uploaded_at, .. } = song("a", None, OffsetDateTime::UNIX_EPOCH).into();
    let uploading = Song::begin(id, title, hash, uploader, uploaded_at);
    assert!(matches!(store.admit(&uploading).await, Err(RepositoryError::Conflict)));
    assert_eq!(store.pending(10).await.unwrap(), []);
}

#[tokio::test]
async fn times_are_kept_to_the_microsecond_on_both_sides_of_1970() {
    let place = Place::new();
    let store = place.open().await;
    for nanos in [0, 999, 1_000, 1_999, -1, -999, -1_001, 1_700_000_000_123_456_789] {
        let new = song(&nanos.to_string(), None, OffsetDateTime::UNIX_EPOCH + Duration::nanoseconds(nanos));
        let stored = store.admit(&new).await.unwrap();
        assert_eq!(stored.uploaded_at().unix_timestamp_nanos() % 1_000, 0);
        assert!((stored.uploaded_at() - new.uploaded_at()).abs() < Duration::microseconds(1));
        assert_eq!(Cursor::of(&stored), Cursor::of(&new));
        assert_eq!(store.admit(&new).await.unwrap(), stored, "the same song, for all that was cut off");
    }
}

#[tokio::test]
async fn a_row_that_nobody_can_read_is_an_error_and_no_panic() {
    let place = Place::new();
    let store = place.open().await;
    let kept = store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let options = SqliteConnectOptions::new().filename(place.path());
    let mut vandal = SqliteConnection::connect_with(&options).await.unwrap();
    for broken in ["title = ' '", "hash = 'abc'", "status = 'NOT_FOUND'", "uploaded_at_us = 9223372036854775807"] {
        raw_sql(AssertSqlSafe(format!("UPDATE songs SET {broken}"))).execute(&mut vandal).await.unwrap();
        let listed = store.list(&SongQuery::all_of(Viewer::Anonymous)).await;
        assert!(matches!(listed, Err(RepositoryError::Corrupt(_))), "{broken}: {listed:?}");
        vandal = mended(vandal, &kept).await;
    }
    assert_eq!(SongRepository::find(&store, kept.id()).await.unwrap(), Some(kept));
}

async fn mended(mut vandal: SqliteConnection, kept: &Song) -> SqliteConnection {
    query("UPDATE songs SET title = ?, hash = ?, status = ?, uploaded_at_us = ?")
        .bind(kept.title().as_str())
        .bind(kept.hash().to_string())
        .bind(kept.status().kind().name())
        .bind(Cursor::of(kept).uploaded_at_us)
        .execute(&mut vandal)
        .await
        .unwrap();
    vandal
}
