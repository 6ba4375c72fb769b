//! Where users and their sessions are kept.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::account::{Account, SessionDigest, UserId, Username};

/// Keeps users and sessions. An API token is a session that somebody asked for by hand.
///
/// Reads see every write that returned before they began. A dropped future has had its whole effect or none.
#[async_trait]
pub trait AccountRepository: Send + Sync {
    /// Stores a new account, durable on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when the [key](Username::key) of the name or the identifier is taken: of two who
    /// register the same name at once, one gets this. A repeat gets it as well. [`RepositoryError::Unavailable`].
    async fn insert(&self, account: &Account) -> Result<(), RepositoryError>;

    /// Finds an account by the [key](Username::key) of its name.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn find_by_username(&self, username: &Username) -> Result<Option<Account>, RepositoryError>;

    /// Opens a session, durable on return. `expires_at` is `None` for a token that does not expire.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when the digest is in use, by a repeat for instance, or the user is gone;
    /// [`RepositoryError::Unavailable`].
    async fn open_session(
        &self,
        session: SessionDigest,
        user: UserId,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<(), RepositoryError>;

    /// Whose session it is; `None` for one that is unknown, closed, or expired at `now` (a session that expires at `now`
    /// is expired).
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
    async fn session_user(
        &self,
        session: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<Option<UserId>, RepositoryError>;

    /// Closes a session, durably on return. Closing one that is not open is a success without effect.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`].
    async fn close_session(&self, session: SessionDigest) -> Result<(), RepositoryError>;
}
