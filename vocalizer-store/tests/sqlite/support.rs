use time::OffsetDateTime;
use vocalizer_core::account::{Account, PasswordHash, UserId};
use vocalizer_core::ports::AccountRepository;
use vocalizer_core::song::{Song, SongHash, SongId, Title};
use vocalizer_store::sqlite::SqliteStore;

pub(crate) use super::file::TestFile;

impl TestFile {
    /// Opens the store like a restarted process.
    pub(crate) async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path()).await.unwrap()
    }
}

/// Registers a new user.
pub(crate) async fn user(store: &impl AccountRepository) -> UserId {
    let id = UserId::random();
    let account = Account {
        id,
        username: format!("user-{id}").parse().unwrap(),
        password_hash: PasswordHash::new("hash".to_owned()),
        registered_at: OffsetDateTime::UNIX_EPOCH,
    };
    store.insert(&account).await.unwrap();
    id
}

/// Returns an uploaded song.
pub(crate) fn song(bytes: &str, uploader: Option<UserId>, uploaded_at: OffsetDateTime) -> Song {
    let title = Title::parse("title", usize::MAX).unwrap();
    let mut song = Song::begin(SongId::random(), title, SongHash::of(bytes.as_bytes()), uploader, uploaded_at);
    song.finish_upload().unwrap();
    song
}
