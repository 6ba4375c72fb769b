//! Access rules for songs.

use vocalizer_api::id::UserId;

use crate::song::Song;

/// The viewer of a request.
///
/// ```
/// # use time::OffsetDateTime;
/// # use vocalizer_core::account::{UserId, Viewer};
/// # use vocalizer_core::song::{Song, SongHash, SongId, Title};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let now = OffsetDateTime::UNIX_EPOCH;
/// let (ada, bob) = (UserId::random(), UserId::random());
/// let private = Song::begin(SongId::random(), title.clone(), hash, Some(ada), now);
/// assert!(Viewer::User(ada).may_see(&private));
/// assert!(!Viewer::User(bob).may_see(&private) && !Viewer::Anonymous.may_see(&private));
///
/// let public = Song::begin(SongId::random(), title, hash, None, now);
/// assert!(Viewer::User(bob).may_see(&public) && Viewer::Anonymous.may_delete(&public));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A client without a session.
    Anonymous,
    /// A logged-in user.
    User(UserId),
}

impl Viewer {
    /// Returns the owner of this viewer's uploads.
    ///
    /// ```
    /// use vocalizer_core::account::{UserId, Viewer};
    ///
    /// let ada = UserId::random();
    /// assert_eq!(Viewer::User(ada).user(), Some(ada));
    /// assert_eq!(Viewer::Anonymous.user(), None);
    /// ```
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::User(id) => Some(id),
        }
    }

    /// Returns whether the viewer may see the song.
    ///
    /// Anonymous uploads are visible to everyone, a user's uploads only to that user. For everyone else the song must
    /// not exist: respond with "not found", never with "forbidden", which would reveal it.
    #[must_use]
    pub fn may_see(self, song: &Song) -> bool {
        match song.uploader() {
            None => true,
            Some(owner) => self == Self::User(owner),
        }
    }

    /// Returns whether this viewer may delete the song.
    ///
    /// The contract lets everyone delete anonymous songs, since ownership cannot be proven. So this equals
    /// [`Self::may_see`] today; it is separate because callers ask a different question.
    #[must_use]
    pub fn may_delete(self, song: &Song) -> bool {
        self.may_see(song)
    }
}
