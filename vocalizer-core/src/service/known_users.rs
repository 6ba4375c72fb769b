//! Users that a file or a proxy names.

use std::net::IpAddr;

use super::accounts::{AccountService, random};
use super::auditing::Event;
use super::caller::Caller;
use super::{Invalid, ServiceError};
use crate::account::{Account, UserId, Username, Viewer};
use crate::ports::{Action, RepositoryError};
use crate::secret::Secret;

impl AccountService {
    /// Registers a user on behalf of an operator, also if registration is closed. Returns whether the user is new; an existing
    /// one keeps the password.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, Arc::new(ManualClock::new())).build();
    /// let password = Secret::new("correct horse".to_owned());
    /// assert!(accounts.ensure_user("ada", &password).await?);
    /// assert!(!accounts.ensure_user("ada", &password).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn ensure_user(&self, username: &str, password: &Secret<String>) -> Result<bool, ServiceError> {
        let name = Username::register(username).map_err(|error| ServiceError::invalid("username", error))?;
        if self.ports().accounts.find_by_username(&name).await?.is_some() {
            return Ok(false);
        }
        let invalid: Vec<Invalid> = self.check_password([password; 2]);
        if !invalid.is_empty() {
            return Err(ServiceError::Invalid(invalid));
        }
        self.create(name, password, "operator", None).await.map(|_| true)
    }

    /// Identifies a caller whose name a trusted proxy has verified. With `may_create`, an unknown user is registered, with a
    /// random password.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, Arc::new(ManualClock::new())).build();
    /// let address = "192.0.2.1".parse()?;
    /// assert!(matches!(accounts.named_by_proxy("ada", false, address).await, Err(ServiceError::RegistrationClosed)));
    /// let caller = accounts.named_by_proxy("ada", true, address).await?;
    /// assert_eq!(accounts.named_by_proxy("Ada", false, address).await?, caller);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::RegistrationClosed`] for an unknown user, [`ServiceError::Invalid`] for a name that cannot be one,
    /// [`ServiceError::Disabled`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn named_by_proxy(
        &self,
        username: &str,
        may_create: bool,
        address: IpAddr,
    ) -> Result<Caller, ServiceError> {
        let accounts = &self.ports().accounts;
        let mut known = None;
        for name in Username::meant(username) {
            if known.is_none() {
                known = accounts.find_by_username(&name).await?.map(|account| account.id);
            }
        }
        let user = match known {
            Some(user) if accounts.is_disabled(user).await? => return Err(ServiceError::Disabled),
            Some(user) => user,
            None => {
                let name = Username::register(username).map_err(|error| ServiceError::invalid("username", error))?;
                if !may_create {
                    return Err(ServiceError::RegistrationClosed);
                }
                self.create(name, &Secret::new(random()?), "proxy", Some(address)).await?
            }
        };
        Ok(Caller { viewer: Viewer::User(user), ..Caller::ANONYMOUS })
    }

    async fn create(
        &self,
        username: Username,
        password: &Secret<String>,
        actor: &str,
        address: Option<IpAddr>,
    ) -> Result<UserId, ServiceError> {
        let ports = self.ports();
        let (id, password_hash) = (UserId::random(), ports.passwords.hash(password).await?);
        let account = Account { id, username, password_hash, registered_at: ports.clock.now() };
        match ports.accounts.insert(&account).await {
            Err(RepositoryError::Conflict) => {
                // Two first requests at once.
                let other = ports.accounts.find_by_username(&account.username).await?;
                return other.map(|other| other.id).ok_or(ServiceError::RegistrationClosed);
            }
            inserted => inserted?,
        }
        tracing::info!(user = %id, actor, "user registered");
        let subject = Some(account.username.to_string());
        self.audit(Event { subject, address, ..Event::by(actor, Action::UserRegistered) }).await;
        Ok(id)
    }
}
