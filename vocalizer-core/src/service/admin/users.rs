//! Users: finding, disabling, passwords, quotas and the right of administrators.

use super::AdminService;
use crate::account::{UserId, Username};
use crate::ports::{Action, UserRecord, UserSearch};
use crate::quota::QuotaChange;
use crate::secret::Secret;
use crate::service::ServiceError;
use crate::service::sign_in::issuers;

/// 32 characters that cannot be confused with each other.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

const NO_USER: ServiceError = ServiceError::NotFound { what: "user" };

impl AdminService {
    /// Returns users by name.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`], as for every method.
    pub async fn users(&self, search: &UserSearch) -> Result<Vec<UserRecord>, ServiceError> {
        // No name contains one, and not every database can search for one.
        if search.containing.as_ref().is_some_and(|part| part.chars().any(char::is_control)) {
            return Ok(Vec::new());
        }
        Ok(self.stores.administration.users(search).await?)
    }

    /// Finds a user by ID or name. An ID comes first: a name may look like the ID of another user.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn user(&self, name: &str) -> Result<UserRecord, ServiceError> {
        if let Ok(id) = name.trim().parse()
            && let Some(user) = self.stores.administration.user(id).await?
        {
            return Ok(user);
        }
        for name in Username::meant(name) {
            if let Some(account) = self.accounts.ports().accounts.find_by_username(&name).await? {
                return self.user_with(account.id).await;
            }
        }
        Err(NO_USER)
    }

    /// Returns the user with an ID.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn user_with(&self, id: UserId) -> Result<UserRecord, ServiceError> {
        self.stores.administration.user(id).await?.ok_or(NO_USER)
    }

    /// Disables a user: sessions and tokens end at once, and logins are refused. Songs and share links stay.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Conflict`] if an administrator disables one, and those of every method.
    pub async fn disable(&self, id: UserId) -> Result<UserRecord, ServiceError> {
        let user = self.within_reach(id).await?;
        existed(self.stores.administration.disable(id, self.now()).await?)?;
        self.changed(&user, Action::UserDisabled, None).await
    }

    /// Enables a user.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn enable(&self, id: UserId) -> Result<UserRecord, ServiceError> {
        let user = self.within_reach(id).await?;
        existed(self.stores.administration.enable(id).await?)?;
        self.changed(&user, Action::UserEnabled, None).await
    }

    /// Makes a user an administrator, or an ordinary user. Only operators may do this.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], and those of every method.
    pub async fn set_administrator(&self, id: UserId, is_administrator: bool) -> Result<UserRecord, ServiceError> {
        if !self.actor.is_operator {
            return Err(ServiceError::Forbidden);
        }
        let user = self.user_with(id).await?;
        let since = is_administrator.then(|| self.now());
        existed(self.stores.administration.set_administrator(id, since).await?)?;
        let action = if is_administrator { Action::AdministratorGranted } else { Action::AdministratorRevoked };
        self.changed(&user, action, None).await
    }

    /// Sets a user's password and, unless told to keep them, ends all sessions, revokes all tokens and disconnects the
    /// account from identity providers.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`], [`ServiceError::Conflict`] if an administrator sets that of one,
    /// and those of every method.
    pub async fn reset_password(
        &self,
        id: UserId,
        password: &Secret<String>,
        keep_sessions: bool,
    ) -> Result<UserRecord, ServiceError> {
        let user = self.within_reach(id).await?;
        let invalid = self.accounts.check_password([password; 2]);
        if !invalid.is_empty() {
            return Err(ServiceError::Invalid(invalid));
        }
        let ports = self.accounts.ports();
        let hash = ports.passwords.hash(password).await?;
        match keep_sessions {
            true => existed(self.stores.administration.set_password(id, &hash).await?)?,
            false => {
                ports.accounts.change_password(id, &hash, None).await?;
                // Someone else with a session may have connected their own identity.
                ports.accounts.unlink_identities(id).await?;
            }
        }
        let details = if keep_sessions { "sessions and tokens kept" } else { "sessions and tokens ended" };
        self.changed(&user, Action::PasswordReset, Some(details)).await
    }

    /// Disconnects a user from identity providers. A user without a password can sign in again when one is
    /// [set](Self::reset_password). Sessions stay.
    ///
    /// # Errors
    ///
    /// As for [`Self::disable`].
    pub async fn unlink(&self, id: UserId) -> Result<UserRecord, ServiceError> {
        let user = self.within_reach(id).await?;
        let accounts = &self.accounts.ports().accounts;
        let identities = accounts.identities(id).await?;
        if identities.is_empty() {
            return Ok(user);
        }
        accounts.unlink_identities(id).await?;
        self.changed(&user, Action::IdentityUnlinked, Some(&issuers(&identities))).await
    }

    /// Returns a new password of 120 random bits, in groups that are easy to read out.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Internal`].
    pub fn new_password() -> Result<Secret<String>, ServiceError> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(|error| ServiceError::Internal(error.to_string().into()))?;
        let letters = bytes.map(|byte| char::from(LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a')));
        let groups: Vec<String> = letters.chunks(6).map(|group| group.iter().collect()).collect();
        Ok(Secret::new(groups.join("-")))
    }

    /// Changes how a user's quota differs from that of all users. `None` removes the differences.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn change_quota(&self, id: UserId, change: Option<QuotaChange>) -> Result<UserRecord, ServiceError> {
        let user = self.user_with(id).await?;
        self.set_quota(id, change.map_or(QuotaChange::default(), |change| user.quota.with(change))).await
    }

    /// Sets how a user's quota differs from that of all users.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn set_quota(&self, id: UserId, quota: QuotaChange) -> Result<UserRecord, ServiceError> {
        let user = self.user_with(id).await?;
        existed(self.stores.administration.set_quota(id, &quota).await?)?;
        self.changed(&user, Action::QuotaChanged, Some(&format!("from {} to {quota}", user.quota))).await
    }

    /// Returns a user whose access the actor may take away. If administrators could do so to each other, one that was taken
    /// over could lock out all others.
    async fn within_reach(&self, id: UserId) -> Result<UserRecord, ServiceError> {
        let user = self.user_with(id).await?;
        if user.is_administrator && !self.actor.is_operator {
            let message = "the user is an administrator; only `vocalizer admin` on the server may do this";
            return Err(ServiceError::Conflict { message, field: None });
        }
        Ok(user)
    }

    /// Records a change of a user and returns the user as it is now.
    async fn changed(
        &self,
        user: &UserRecord,
        action: Action,
        details: Option<&str>,
    ) -> Result<UserRecord, ServiceError> {
        self.audit(action, Some(user.username.to_string()), details.map(str::to_owned)).await?;
        self.user_with(user.id).await
    }
}

fn existed(existed: bool) -> Result<(), ServiceError> {
    if existed { Ok(()) } else { Err(NO_USER) }
}
