//! Who is asking.

use super::UserId;
use crate::song::Song;

/// Whoever makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// Somebody without a session.
    Anonymous,
    /// A user who is logged in.
    User(UserId),
}

impl Viewer {
    /// Who owns what this viewer uploads.
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::User(id) => Some(id),
        }
    }

    /// Whether the song exists as far as this viewer is concerned.
    ///
    /// A song uploaded anonymously is open to everybody, one uploaded by a user to that user alone. For everybody else
    /// it must be as if it were not there: answer "not found", never "forbidden", or the answer itself would tell.
    #[must_use]
    pub fn may_see(self, song: &Song) -> bool {
        match song.uploader() {
            None => true,
            Some(owner) => self == Self::User(owner),
        }
    }

    /// Whether this viewer may delete the song.
    ///
    /// The contract opens an anonymous song to everybody, and that includes deleting it: nobody could show that it is
    /// theirs. So this is [`Self::may_see`] today, under its own name because callers ask a different question.
    #[must_use]
    pub fn may_delete(self, song: &Song) -> bool {
        self.may_see(song)
    }
}
