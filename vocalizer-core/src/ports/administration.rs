//! What operators see and change, across all users.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{Cursor, RepositoryError};
use crate::account::{PasswordHash, UserId, Username};
use crate::quota::QuotaChange;
use crate::song::{Song, SongHash, StatusKind};

/// A user as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The ID.
    pub id: UserId,
    /// The name.
    pub username: Username,
    /// When the user registered.
    pub registered_at: OffsetDateTime,
    /// Since when the user is disabled.
    pub disabled_at: Option<OffsetDateTime>,
    /// Whether the user is an administrator.
    pub is_administrator: bool,
    /// How the user's quota differs from that of all users.
    pub quota: QuotaChange,
    /// The number of songs.
    pub songs: u64,
    /// The bytes of their files, without stems.
    pub bytes: u64,
    /// The number of sessions, without tokens.
    pub sessions: u64,
    /// The number of API tokens.
    pub tokens: u64,
    /// Whether an identity of a provider is [linked](super::AccountRepository::link_identity) to the account.
    pub is_linked: bool,
}

/// Which users [`Administration::users`] returns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserSearch {
    /// Only users whose name contains this, in any case.
    pub containing: Option<String>,
    /// Only users after this name.
    pub after: Option<Username>,
    /// At most this many.
    pub limit: u32,
}

/// A song as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct SongRecord {
    /// The song.
    pub song: Song,
    /// The name of its uploader; `None` if it was uploaded without a login.
    pub uploader: Option<Username>,
    /// The size of the uploaded file; `None` if it is not recorded.
    pub size_bytes: Option<u64>,
    /// Whether its job is in the outbox.
    pub is_pending: bool,
}

/// Which songs [`Administration::songs`] returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SongSearch {
    /// Only songs of this user.
    pub user: Option<UserId>,
    /// Only songs with this status.
    pub status: Option<StatusKind>,
    /// Only songs after this cursor.
    pub after: Option<Cursor>,
    /// At most this many.
    pub limit: u32,
}

/// What operators see and change, across all users. Servers may run meanwhile: each method is one atomic step.
///
/// Every method may return [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`]. Changes are durable on return;
/// those of a user return `false` if there is no such user.
#[async_trait]
pub trait Administration: Send + Sync {
    /// Returns users in the order of the [keys](Username::key) of their names.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn users(&self, search: &UserSearch) -> Result<Vec<UserRecord>, RepositoryError>;

    /// Returns a user; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn user(&self, id: UserId) -> Result<Option<UserRecord>, RepositoryError>;

    /// Disables a user, closes all sessions and revokes all tokens. Deliveries to the user's webhooks wait. The time of the
    /// first call stays.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn disable(&self, id: UserId, now: OffsetDateTime) -> Result<bool, RepositoryError>;

    /// Enables a user.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn enable(&self, id: UserId) -> Result<bool, RepositoryError>;

    /// Makes a user an [administrator](super::AccountRepository::is_administrator), or an ordinary user. The time of the first
    /// call stays.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn set_administrator(&self, id: UserId, since: Option<OffsetDateTime>) -> Result<bool, RepositoryError>;

    /// Sets a user's password and leaves sessions and tokens open.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn set_password(&self, id: UserId, password: &PasswordHash) -> Result<bool, RepositoryError>;

    /// Sets how a user's quota differs from that of all users.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn set_quota(&self, id: UserId, quota: &QuotaChange) -> Result<bool, RepositoryError>;

    /// Returns songs of all users, newest first, then by identifier.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn songs(&self, search: &SongSearch) -> Result<Vec<SongRecord>, RepositoryError>;

    /// Asks the servers to delete the files of a hash that has no song:
    /// [`SongRepository::erasures`](super::SongRepository::erasures). A repeat changes nothing.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn request_erasure(&self, hash: &SongHash, now: OffsetDateTime) -> Result<(), RepositoryError>;

    /// Holds new jobs back in the outbox, or releases them: [`SongRepository::is_holding`](super::SongRepository::is_holding).
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn hold(&self, held: bool, now: OffsetDateTime) -> Result<(), RepositoryError>;
}

/// An audited action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A user registered, or was created by an operator, a proxy or an identity provider.
    UserRegistered,
    /// A user signed in.
    SignIn,
    /// A sign-in was refused.
    SignInFailed,
    /// A user linked an identity of a provider.
    IdentityLinked,
    /// A user, or an operator for the user, unlinked the account from identity providers.
    IdentityUnlinked,
    /// A user changed the password.
    PasswordChanged,
    /// A user ended all sessions.
    SessionsEnded,
    /// A user created an API token.
    TokenCreated,
    /// A user revoked an API token.
    TokenRevoked,
    /// An operator created an invite.
    InviteCreated,
    /// An operator revoked all invites.
    InvitesRevoked,
    /// An operator disabled a user.
    UserDisabled,
    /// An operator enabled a user.
    UserEnabled,
    /// An operator made a user an administrator.
    AdministratorGranted,
    /// An operator took the rights of an administrator away.
    AdministratorRevoked,
    /// An operator set a user's password.
    PasswordReset,
    /// An operator changed a user's quota.
    QuotaChanged,
    /// An operator deleted a song.
    SongDeleted,
    /// An operator requested a song's job again.
    SongRequeued,
    /// An operator held new jobs back.
    JobsHeld,
    /// An operator released the jobs.
    JobsReleased,
    /// An operator removed files without a song.
    StorageCollected,
}

impl Action {
    /// Returns the stored name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserRegistered => "user_registered",
            Self::SignIn => "sign_in",
            Self::SignInFailed => "sign_in_failed",
            Self::IdentityLinked => "identity_linked",
            Self::IdentityUnlinked => "identity_unlinked",
            Self::PasswordChanged => "password_changed",
            Self::SessionsEnded => "sessions_ended",
            Self::TokenCreated => "token_created",
            Self::TokenRevoked => "token_revoked",
            Self::InviteCreated => "invite_created",
            Self::InvitesRevoked => "invites_revoked",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::AdministratorGranted => "administrator_granted",
            Self::AdministratorRevoked => "administrator_revoked",
            Self::PasswordReset => "password_reset",
            Self::QuotaChanged => "quota_changed",
            Self::SongDeleted => "song_deleted",
            Self::SongRequeued => "song_requeued",
            Self::JobsHeld => "jobs_held",
            Self::JobsReleased => "jobs_released",
            Self::StorageCollected => "storage_collected",
        }
    }
}

/// An entry of the audit log. It contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened, with microsecond precision.
    pub at: OffsetDateTime,
    /// Who did it: a username, also of an administrator, or an operator as in `operator:root`.
    pub actor: String,
    /// The name of the [action](Action::name). A newer version may have recorded others.
    pub action: String,
    /// What it was done to: a username, or the ID of a song or token.
    pub subject: Option<String>,
    /// The address it came from. Of IPv6, only the /64.
    pub address: Option<String>,
    /// Further facts, as a text for people.
    pub details: Option<String>,
}

impl AuditEntry {
    /// Returns an entry with no more than the action.
    #[must_use]
    pub fn new(at: OffsetDateTime, actor: impl Into<String>, action: Action) -> Self {
        let action = action.name().to_owned();
        Self { at, actor: actor.into(), action, subject: None, address: None, details: None }
    }
}

/// Which entries [`AuditLog::entries`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSearch {
    /// Only entries at or after this time.
    pub since: OffsetDateTime,
    /// At most this many, the newest.
    pub limit: u32,
}

/// The audit log: entries are added and, when they are old, removed; none changes.
///
/// Every method may return [`RepositoryError::Unavailable`] or [`RepositoryError::Corrupt`].
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{memory::MemoryAudit, ports::*};
/// # let (log, now) = (MemoryAudit::default(), OffsetDateTime::UNIX_EPOCH);
/// log.record(&AuditEntry::new(now, "ada", Action::SignIn)).await?;
/// let entries = log.entries(&AuditSearch { since: now, limit: 10 }).await?;
/// assert_eq!((entries[0].actor.as_str(), entries[0].action.as_str()), ("ada", "sign_in"));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Adds an entry, durably on return.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn record(&self, entry: &AuditEntry) -> Result<(), RepositoryError>;

    /// Returns entries, the one recorded last first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn entries(&self, search: &AuditSearch) -> Result<Vec<AuditEntry>, RepositoryError>;

    /// Removes entries from before a time, and all but the newest `most`.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn forget_entries(&self, before: OffsetDateTime, most: u64) -> Result<(), RepositoryError>;
}

/// How long the audit log is kept unless configured otherwise.
pub const KEEP_AUDIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
