//! Where users and their sessions are kept.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::account::{Account, ApiToken, Invite, PasswordHash, Session, SessionDigest, TokenId, UserId, Username};

/// Keeps users, their sessions and their API tokens.
///
/// Reads see every write that returned before they began. A dropped future has had its whole effect or none. Every method
/// may end in [`RepositoryError::Unavailable`], and those that read in [`RepositoryError::Corrupt`].
#[async_trait]
pub trait AccountRepository: Send + Sync {
    /// Stores a new account, durable on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when the [key](Username::key) of the name or the identifier is taken: of two who
    /// register the same name at once, one gets this. A repeat gets it as well.
    async fn insert(&self, account: &Account) -> Result<(), RepositoryError>;

    /// Stores an invite, durable on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when its digest is in use.
    async fn invite(&self, invite: &Invite) -> Result<(), RepositoryError>;

    /// Whether an invite is good at `now` (one that expires at `now` is not).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn is_invited(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<bool, RepositoryError>;

    /// Does what [`Self::insert`] does and uses an invite up, in one step; says whether the invite was good. One that is
    /// not leaves no account, and a name that is taken leaves the invite. Of two who come with one invite, one gets in.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    async fn insert_invited(
        &self,
        account: &Account,
        invite: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<bool, RepositoryError>;

    /// Takes back every invite that is not used up, and says how many that were.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn revoke_invites(&self) -> Result<u64, RepositoryError>;

    /// Finds an account by the [key](Username::key) of its name.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find_by_username(&self, username: &Username) -> Result<Option<Account>, RepositoryError>;

    /// Finds an account.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find(&self, id: UserId) -> Result<Option<Account>, RepositoryError>;

    /// Gives a user another password and, in the same step, closes all sessions but `keep` and
    /// revokes all tokens.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when the user is gone.
    async fn change_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        keep: Option<SessionDigest>,
    ) -> Result<(), RepositoryError>;

    /// Opens a session or stores a token, durable on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] when the digest is in use, by a repeat for instance, or the user is gone.
    async fn open_session(&self, session: &Session) -> Result<(), RepositoryError>;

    /// The session or token of a digest; `None` for one that is unknown, closed, or expired at `now` (a session that
    /// expires at `now` is expired).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn session(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<Option<Session>, RepositoryError>;

    /// Closes a session, durably on return. Closing one that is not open is a success without effect.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn close_session(&self, digest: SessionDigest) -> Result<(), RepositoryError>;

    /// Closes every session of a user and revokes every token, durably on return; how many that were.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn close_sessions(&self, user: UserId) -> Result<u64, RepositoryError>;

    /// The API tokens of a user, newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, RepositoryError>;

    /// Revokes a user's token, durably on return; whether there was one. Another user's is none.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn revoke_token(&self, user: UserId, id: TokenId) -> Result<bool, RepositoryError>;

    /// Forgets what is expired at `now`, invites as well, and says how many sessions that were.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_expired(&self, now: OffsetDateTime) -> Result<u64, RepositoryError>;
}
