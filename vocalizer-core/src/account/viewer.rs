//! Access rules for songs.

use vocalizer_api::id::{SongId, UserId};

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
/// assert!(Viewer::User(bob).may_see(&public) && Viewer::Anonymous.may_change(&public));
///
/// let link = Viewer::Shared(private.id());
/// assert!(link.may_see(&private) && !link.may_change(&private));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// A client without a session.
    Anonymous,
    /// A logged-in user.
    User(UserId),
    /// A client that may read one song by a share link, and otherwise is anonymous.
    Shared(SongId),
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
            Self::Anonymous | Self::Shared(_) => None,
            Self::User(id) => Some(id),
        }
    }

    /// Returns whether the viewer may see the song.
    ///
    /// Anonymous uploads are visible to everyone, a user's uploads only to that user and to clients with a share link.
    /// For everyone else the song must not exist: respond with "not found", never with "forbidden", which would reveal
    /// it.
    #[must_use]
    pub fn may_see(self, song: &Song) -> bool {
        self == Self::Shared(song.id()) || self.may_change(song)
    }

    /// Returns whether this viewer may rename, retry, share or delete the song.
    ///
    /// The contract lets everyone delete anonymous songs, since ownership cannot be proven. A share link permits
    /// reading only.
    #[must_use]
    pub fn may_change(self, song: &Song) -> bool {
        song.uploader().is_none_or(|owner| self == Self::User(owner))
    }
}
