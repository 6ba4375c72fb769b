//! The repository of users and sessions.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::RepositoryError;
use crate::account::{
    Account, ApiToken, Identity, Invite, PasswordHash, Session, SessionDigest, TokenId, UserId, Username,
};

/// Stores users, their sessions and their API tokens.
///
/// A read sees every write that returned before it started. A dropped future has had its whole effect or none. Every
/// method may return [`RepositoryError::Unavailable`], and those that read [`RepositoryError::Corrupt`].
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{account::*, memory::MemoryAccounts, ports::*};
/// # let repository = MemoryAccounts::default();
/// # let ada = Account {
/// #     id: UserId::random(),
/// #     username: "Ada".parse()?,
/// #     password_hash: PasswordHash::new("$argon2id$…".to_owned()),
/// #     registered_at: OffsetDateTime::UNIX_EPOCH,
/// # };
/// repository.insert(&ada).await?;
/// // Names that differ only in case belong to the same user.
/// let found = repository.find_by_username(&"ada".parse()?).await?;
/// assert_eq!(found.map(|account| account.id), Some(ada.id));
/// assert!(matches!(repository.insert(&ada).await, Err(RepositoryError::Conflict)));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait AccountRepository: Send + Sync {
    /// Stores a new account, durable on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the [key](Username::key) of the name or the identifier is taken. Of two
    /// concurrent registrations of a name, one fails with it; so does a repeat.
    async fn insert(&self, account: &Account) -> Result<(), RepositoryError>;

    /// Stores an invite, durable on return.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if its digest is in use.
    async fn invite(&self, invite: &Invite) -> Result<(), RepositoryError>;

    /// Returns whether an invite is valid at `now` (one that expires at `now` is not).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn is_invited(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<bool, RepositoryError>;

    /// Stores an account as [`Self::insert`] does and consumes an invite, in one atomic step. Returns whether the
    /// invite was valid; if not, no account is stored. If the name is taken, the invite stays valid. Of two concurrent
    /// registrations with the same invite, one succeeds.
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

    /// Revokes all unused invites and returns their number.
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

    /// Finds an account by its identifier.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find(&self, id: UserId) -> Result<Option<Account>, RepositoryError>;

    /// Finds the account that an identity is linked to.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn find_by_identity(&self, identity: &Identity) -> Result<Option<Account>, RepositoryError>;

    /// Stores an account as [`Self::insert`] does and links an identity to it, in one atomic step.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`]; also [`RepositoryError::Conflict`] if the identity is linked to an account. Of two concurrent
    /// calls with one identity, one fails with it.
    async fn insert_identified(&self, account: &Account, identity: &Identity) -> Result<(), RepositoryError>;

    /// Links an identity to an existing account, durable on return. A repeat succeeds without effect.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the identity is linked to another account, or the account does not exist.
    async fn link_identity(&self, user: UserId, identity: &Identity) -> Result<(), RepositoryError>;

    /// Unlinks all identities from an account, durable on return. Returns how many there were.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn unlink_identities(&self, user: UserId) -> Result<u64, RepositoryError>;

    /// Returns the identities that are linked to an account, sorted by issuer and subject.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn identities(&self, user: UserId) -> Result<Vec<Identity>, RepositoryError>;

    /// Returns whether an operator has disabled a user. The default suits a store without
    /// [`Administration`](super::Administration).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn is_disabled(&self, _id: UserId) -> Result<bool, RepositoryError> {
        Ok(false)
    }

    /// Returns whether a user is an administrator and not [disabled](Self::is_disabled). The default suits a store without
    /// [`Administration`](super::Administration).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn is_administrator(&self, _id: UserId) -> Result<bool, RepositoryError> {
        Ok(false)
    }

    /// Changes a user's password and, in the same step, closes all sessions except `keep` and revokes all tokens.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the user does not exist.
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
    /// [`RepositoryError::Conflict`] if the digest is in use, for example by a repeat, or the user does not exist.
    async fn open_session(&self, session: &Session) -> Result<(), RepositoryError>;

    /// Returns the session or token with a digest; `None` if it is unknown, closed, or expired at `now` (a session that
    /// expires at `now` is expired), or its user is [disabled](Self::is_disabled).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn session(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<Option<Session>, RepositoryError>;

    /// Closes a session, durably on return. Closing one that is not open succeeds without effect.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn close_session(&self, digest: SessionDigest) -> Result<(), RepositoryError>;

    /// Closes all sessions of a user and revokes all tokens, durably on return. Returns their number.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn close_sessions(&self, user: UserId) -> Result<u64, RepositoryError>;

    /// Returns the API tokens of a user, newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, RepositoryError>;

    /// Revokes a user's token, durably on return. Returns whether the user had this token.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn revoke_token(&self, user: UserId, id: TokenId) -> Result<bool, RepositoryError>;

    /// Deletes sessions, tokens and invites that are expired at `now`. Returns the number of sessions and tokens.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_expired(&self, now: OffsetDateTime) -> Result<u64, RepositoryError>;
}
