//! Authentication: registration, login and logout.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::account_settings::AccountSettings;
use super::auditing::Event;
use super::caller::{Caller, LoginFrom, NO_SESSION, NewSession, Proof, owner};
use super::provider::Provider;
use super::{Invalid, ServiceError, device};
use crate::account::{Account, Registration, Session, SessionDigest, UserId, Username, Viewer, household};
use crate::api::UserView;
use crate::ports::{
    AccountRepository, Action, Attempts, AuditLog, Clock, PasswordHasher, RepositoryError, ThrottleSettings,
};
use crate::secret::Secret;

/// How long an expired session is kept.
pub const KEEP_EXPIRED: time::Duration = time::Duration::days(90);

/// Most entries of the audit log: some hundred megabytes. Failed logins could fill the disk before they are old.
const MOST_AUDITED: u64 = 1_000_000;

/// The ports that the service uses.
pub(super) struct AccountPorts {
    pub(super) accounts: Arc<dyn AccountRepository>,
    /// Counters of failed attempts.
    pub(super) attempts: Arc<dyn Attempts>,
    pub(super) passwords: Arc<dyn PasswordHasher>,
    pub(super) audit: Arc<dyn AuditLog>,
    /// The identity provider with which users may sign in.
    pub(super) provider: Option<Provider>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The user accounts. Clones are handles to the same service.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
/// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
/// # let clock = Arc::new(ManualClock::new());
/// # let accounts = AccountService::builder_with_clock(repository, hasher, clock).build();
/// # let address = "192.0.2.1".parse()?;
/// let password = Secret::new("correct horse".to_owned());
/// let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
///
/// // Later requests carry the session's secret in a cookie.
/// let caller = accounts.authenticate(Some(&Proof::Cookie(session.secret))).await?;
/// assert_eq!(caller.viewer, Viewer::User(session.user.id));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AccountService {
    inner: Arc<Inner>,
}

struct Inner {
    ports: AccountPorts,
    settings: AccountSettings,
}

impl AccountService {
    pub(super) fn new(ports: AccountPorts, settings: AccountSettings) -> Self {
        Self { inner: Arc::new(Inner { ports, settings }) }
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &AccountSettings {
        &self.inner.settings
    }

    pub(super) fn ports(&self) -> &AccountPorts {
        &self.inner.ports
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.ports.clock
    }

    /// Registers a user and logs in. The invite is used up if this server requires one; otherwise it is ignored.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, clock).build();
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// // This server needs no invite, and the client has no session yet.
    /// let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
    /// assert_eq!(session.user.username, "ada");
    ///
    /// let taken = accounts.register("Ada", [&password, &password], &Secret::default(), address, None).await;
    /// assert!(matches!(taken, Err(ServiceError::Conflict { field: Some("username"), .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::RegistrationClosed`], [`ServiceError::InviteRequired`], [`ServiceError::InviteInvalid`],
    /// [`ServiceError::SignInRefused`] without [passwords](AccountSettings::password_sign_in), [`ServiceError::Invalid`],
    /// [`ServiceError::Conflict`] for a taken name, [`ServiceError::Throttled`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn register(
        &self,
        username: &str,
        passwords: [&Secret<String>; 2],
        invite: &Secret<String>,
        address: IpAddr,
        before: Option<SessionDigest>,
    ) -> Result<NewSession, ServiceError> {
        let Inner { ports, settings } = &*self.inner;
        self.check_password_sign_in()?;
        let invite = match settings.registration {
            Registration::Open => None,
            Registration::Closed => return Err(ServiceError::RegistrationClosed),
            // Invites are usually pasted, often with white space.
            Registration::Invite => match invite.expose().trim() {
                "" => return Err(ServiceError::InviteRequired),
                invite => Some(SessionDigest::of(&Secret::new(invite.to_owned()))),
            },
        };
        let mut invalid = Vec::new();
        let username = Username::register(username);
        if let Err(error) = &username {
            invalid.push(Invalid { field: "username", message: error.to_string() });
        }
        invalid.extend(self.check_password(passwords));
        let (Ok(username), true) = (username, invalid.is_empty()) else { return Err(ServiceError::Invalid(invalid)) };
        self.count(&format!("register {}", household(address)), &settings.per_address).await?;
        let taken = ServiceError::Conflict { message: "the username is taken", field: Some("username") };
        // Checked before the expensive hashing; the store makes the final check.
        if let Some(invite) = invite
            && !ports.accounts.is_invited(invite, ports.clock.now()).await?
        {
            return Err(ServiceError::InviteInvalid);
        }
        if ports.accounts.find_by_username(&username).await?.is_some() {
            return Err(taken);
        }
        let password_hash = ports.passwords.hash(passwords[0]).await?;
        let account = Account { id: UserId::random(), username, password_hash, registered_at: ports.clock.now() };
        let stored = match invite {
            None => ports.accounts.insert(&account).await.map(|()| true),
            Some(invite) => ports.accounts.insert_invited(&account, invite, ports.clock.now()).await,
        };
        match stored {
            Err(RepositoryError::Conflict) => return Err(taken),
            // Another registration used the invite first.
            Ok(false) => return Err(ServiceError::InviteInvalid),
            stored => stored?,
        };
        tracing::info!(user = %account.id, "user registered");
        self.audit(Event { address: Some(address), ..Event::of(&account, Action::UserRegistered) }).await;
        self.open_session(&account, before, device::issue(&random()?, &account)?).await
    }

    /// Logs in. Ends the session that was open [`before`](LoginFrom::before), to prevent session fixation.
    ///
    /// Attempts are counted per account and address, per account, and per address. A known device is counted only by
    /// itself, so that other people's guesses cannot lock it out.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, clock).build();
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// # let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
    /// let from = LoginFrom { address, before: None, device: None };
    /// let session = accounts.login("ada", &password, from).await?;
    ///
    /// let from = LoginFrom { address, before: None, device: Some(&session.device) };
    /// let wrong = accounts.login("ada", &Secret::new("correct hose".to_owned()), from).await;
    /// assert!(matches!(wrong, Err(ServiceError::Unauthenticated { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`], with the same response time whether the name or the password is wrong;
    /// [`ServiceError::Disabled`], only with the right password; [`ServiceError::SignInRefused`] without
    /// [passwords](AccountSettings::password_sign_in); [`ServiceError::Throttled`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn login(
        &self,
        username: &str,
        password: &Secret<String>,
        from: LoginFrom<'_>,
    ) -> Result<NewSession, ServiceError> {
        let Inner { ports, settings } = &*self.inner;
        self.check_password_sign_in()?;
        let wrong = ServiceError::Unauthenticated { message: "the username and the password do not match" };
        let names = Username::meant(username);
        // No account can match these. A password that is too long is rejected before it costs a hash.
        let Some(name) = names.first() else { return Err(wrong) };
        if password.expose().chars().count() > settings.max_password_chars {
            return Err(wrong);
        }
        let mut account = None;
        for name in &names {
            if account.is_none() {
                account = ports.accounts.find_by_username(name).await?;
            }
        }
        let known = from.device.zip(account.as_ref()).and_then(|(device, account)| device::recognise(device, account));
        let (key, network) = (name.key(), household(from.address));
        let counters = match known {
            Some(number) => vec![(format!("login {key} device {number}"), &settings.per_account)],
            None => vec![
                (format!("login {key} from {network}"), &settings.per_account),
                (format!("login {key}"), &settings.per_account_everywhere),
                (format!("address {network}"), &settings.per_address),
            ],
        };
        for (at, (key, settings)) in counters.iter().enumerate() {
            if let Err(refused) = self.count(key, settings).await {
                for (key, _) in counters.iter().take(at) {
                    ports.attempts.take_back(key, ports.clock.now()).await?;
                }
                return Err(refused);
            }
        }
        let hash = account.as_ref().map(|account| &account.password_hash).filter(|hash| hash.is_some());
        let right = ports.passwords.verify(password, hash).await?;
        let address = Some(from.address);
        let Some(account) = account else {
            // What was typed is not recorded: it may be a password.
            self.audit(Event { address, ..Event::by("(unknown user)", Action::SignInFailed) }).await;
            return Err(wrong);
        };
        if !right {
            let details = Some("wrong password".to_owned());
            self.audit(Event { address, details, ..Event::of(&account, Action::SignInFailed) }).await;
            return Err(wrong);
        }
        for (at, (key, _)) in counters.iter().enumerate() {
            match at {
                // Only the account's owner uses this counter.
                0 => ports.attempts.succeed(key).await?,
                _ => ports.attempts.take_back(key, ports.clock.now()).await?,
            }
        }
        if known.is_some() {
            // Other users at the same address need not wait either.
            ports.attempts.succeed(&format!("login {key} from {network}")).await?;
        }
        // Only now: others must not learn which accounts are disabled.
        if ports.accounts.is_disabled(account.id).await? {
            let details = Some("the account is disabled".to_owned());
            self.audit(Event { address, details, ..Event::of(&account, Action::SignInFailed) }).await;
            return Err(ServiceError::Disabled);
        }
        let device = match (known, from.device) {
            (Some(_), Some(device)) => device.clone(),
            _ => device::issue(&random()?, &account)?,
        };
        let session = self.open_session(&account, from.before, device).await?;
        self.audit(Event { address, ..Event::of(&account, Action::SignIn) }).await;
        Ok(session)
    }

    /// Ends a session, or revokes the API token that made the request. Without either it succeeds.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, clock).build();
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// # let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
    /// # let cookie = Proof::Cookie(session.secret);
    /// # let caller = accounts.authenticate(Some(&cookie)).await?;
    /// accounts.logout(caller.session).await?;
    /// let caller = accounts.authenticate(Some(&cookie)).await?;
    /// assert!(caller.lapsed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn logout(&self, session: Option<SessionDigest>) -> Result<(), ServiceError> {
        match session {
            Some(session) => Ok(self.inner.ports.accounts.close_session(session).await?),
            None => Ok(()),
        }
    }

    /// Identifies the caller. An invalid cookie makes the caller anonymous, since browsers send cookies automatically;
    /// an invalid token is rejected, since it was sent on purpose.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, clock).build();
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// # let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
    /// let caller = accounts.authenticate(Some(&Proof::Cookie(session.secret))).await?;
    /// assert!(caller.viewer.user().is_some());
    ///
    /// let unknown = Secret::new("4f1c".to_owned());
    /// assert!(accounts.authenticate(Some(&Proof::Cookie(unknown.clone()))).await?.lapsed);
    /// assert!(accounts.authenticate(Some(&Proof::Token(unknown))).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] for an unknown, expired or revoked token; for a name that a proxy verified, those
    /// of [`Self::named_by_proxy`]; [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn authenticate(&self, proof: Option<&Proof>) -> Result<Caller, ServiceError> {
        let Inner { ports, .. } = &*self.inner;
        let (secret, by_token) = match proof {
            None => return Ok(Caller::ANONYMOUS),
            Some(Proof::Cookie(secret)) => (secret, false),
            Some(Proof::Token(secret)) => (secret, true),
            Some(&Proof::Named { ref username, may_create, address }) => {
                return self.named_by_proxy(username, may_create, address).await;
            }
        };
        let session = ports.accounts.session(SessionDigest::of(secret), ports.clock.now()).await?;
        // Neither replaces the other: browsers would send a token in a cookie automatically.
        match session.filter(|session| session.token.is_some() == by_token) {
            Some(session) => Ok(Caller {
                viewer: Viewer::User(session.user),
                session: Some(session.digest),
                by_token,
                lapsed: false,
            }),
            None if by_token => {
                Err(ServiceError::Unauthenticated { message: "the token is unknown, expired or revoked" })
            }
            None => Ok(Caller { lapsed: true, ..Caller::ANONYMOUS }),
        }
    }

    /// Returns the caller as a user, or `None` without a session.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn user(&self, caller: Caller) -> Result<Option<UserView>, ServiceError> {
        let Some(id) = caller.viewer.user() else { return Ok(None) };
        match self.inner.ports.accounts.find(id).await? {
            Some(account) if caller.by_token => Ok(Some(UserView::new(id, account.username.to_string()))),
            Some(account) => self.view(&account).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns a user as it is seen in a session.
    async fn view(&self, account: &Account) -> Result<UserView, ServiceError> {
        let mut view = UserView::new(account.id, account.username.to_string());
        view.administrator = self.inner.ports.accounts.is_administrator(account.id).await?;
        Ok(view)
    }

    /// Changes the caller's password. Ends every other session of the user and revokes every token.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let accounts = AccountService::builder_with_clock(repository, hasher, clock).build();
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// # let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
    /// # let caller = accounts.authenticate(Some(&Proof::Cookie(session.secret))).await?;
    /// let new = Secret::new("battery staple".to_owned());
    /// accounts.change_password(caller, &password, [&new, &new]).await?;
    ///
    /// let from = LoginFrom { address, before: None, device: None };
    /// assert!(accounts.login("ada", &new, from).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] without a session or with a wrong current password, [`ServiceError::Invalid`],
    /// [`ServiceError::Throttled`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn change_password(
        &self,
        caller: Caller,
        old: &Secret<String>,
        new: [&Secret<String>; 2],
    ) -> Result<(), ServiceError> {
        let Inner { ports, settings } = &*self.inner;
        let id = owner(caller)?;
        let account = ports.accounts.find(id).await?.ok_or(ServiceError::Unauthenticated { message: NO_SESSION })?;
        let invalid = self.check_password(new);
        if !invalid.is_empty() {
            return Err(ServiceError::Invalid(invalid));
        }
        // Counted separately: only callers with a session get here.
        let key = format!("password {id}");
        self.count(&key, &settings.per_account).await?;
        let readable = old.expose().chars().count() <= settings.max_password_chars;
        let hash = Some(&account.password_hash).filter(|hash| hash.is_some());
        if !(readable && ports.passwords.verify(old, hash).await?) {
            return Err(ServiceError::Unauthenticated { message: "the current password is wrong" });
        }
        ports.attempts.succeed(&key).await?;
        let hash = ports.passwords.hash(new[0]).await?;
        ports.accounts.change_password(id, &hash, caller.session).await?;
        self.audit(Event::of(&account, Action::PasswordChanged)).await;
        Ok(())
    }

    /// Ends every session of the caller, including this one, and revokes every token.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] without a session, [`ServiceError::Unavailable`].
    pub async fn logout_everywhere(&self, caller: Caller) -> Result<(), ServiceError> {
        let user = owner(caller)?;
        let ended = self.inner.ports.accounts.close_sessions(user).await?;
        tracing::info!(%user, ended, "user logged out everywhere");
        self.audit_user(user, Action::SessionsEnded, None, None).await;
        Ok(())
    }

    /// Fails if users do not sign in with passwords.
    fn check_password_sign_in(&self) -> Result<(), ServiceError> {
        if self.inner.settings.password_sign_in {
            return Ok(());
        }
        Err(ServiceError::SignInRefused { message: "sign-in with a password is turned off on this server" })
    }

    /// Counts an attempt.
    pub(super) async fn count(&self, key: &str, settings: &ThrottleSettings) -> Result<(), ServiceError> {
        let Inner { ports, .. } = &*self.inner;
        match ports.attempts.attempt(key, settings, ports.clock.now()).await? {
            None => Ok(()),
            Some(retry_after) => Err(ServiceError::Throttled { retry_after }),
        }
    }

    /// Deletes long-expired sessions and tokens, and attempts that are due. A session is kept for [`KEEP_EXPIRED`]
    /// after its expiry, so that a clock that runs ahead for a while ends no session permanently.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn sweep(&self) -> Result<u64, ServiceError> {
        let Inner { ports, .. } = &*self.inner;
        let now = ports.clock.now();
        ports.attempts.forget(now).await?;
        if let Some(before) =
            time::Duration::try_from(self.inner.settings.keep_audit).ok().and_then(|kept| now.checked_sub(kept))
        {
            ports.audit.forget_entries(before, MOST_AUDITED).await?;
        }
        Ok(ports.accounts.forget_expired(now.saturating_sub(KEEP_EXPIRED)).await?)
    }

    pub(super) async fn open_session(
        &self,
        account: &Account,
        before: Option<SessionDigest>,
        device: Secret<String>,
    ) -> Result<NewSession, ServiceError> {
        let Inner { ports, settings, .. } = &*self.inner;
        self.logout(before).await?;
        let secret = Secret::new(random()?);
        let created_at = ports.clock.now();
        let session = Session {
            digest: SessionDigest::of(&secret),
            user: account.id,
            created_at,
            expires_at: later(created_at, settings.session),
            token: None,
        };
        ports.accounts.open_session(&session).await?;
        Ok(NewSession { user: self.view(account).await?, secret, lasts: settings.session, device })
    }

    /// Writes an event into the audit log.
    pub(super) async fn audit(&self, event: Event<'_>) {
        let AccountPorts { audit, clock, .. } = &self.inner.ports;
        event.write(audit.as_ref(), clock.now()).await;
    }

    pub(super) fn check_password(&self, [password, repeated]: [&Secret<String>; 2]) -> Vec<Invalid> {
        let AccountSettings { min_password_chars: min, max_password_chars: max, .. } = self.inner.settings;
        let chars = password.expose().chars().count();
        let mut invalid = Vec::new();
        if !(min..=max).contains(&chars) {
            let message = format!("the password has {chars} characters; {min} to {max} are allowed");
            invalid.push(Invalid { field: "password1", message });
        } else if password.expose().chars().any(char::is_control) {
            let message = "the password contains a control character".to_owned();
            invalid.push(Invalid { field: "password1", message });
        }
        if password.expose() != repeated.expose() {
            let message = "the passwords do not match".to_owned();
            invalid.push(Invalid { field: "password2", message });
        }
        invalid
    }
}

/// Returns 256 random bits as hexadecimal text.
pub(super) fn random() -> Result<String, ServiceError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| ServiceError::Internal(error.to_string().into()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns `None` if the time is out of range; a session or token then never expires.
pub(super) fn later(from: OffsetDateTime, by: Duration) -> Option<OffsetDateTime> {
    from.checked_add(time::Duration::try_from(by).ok()?)
}
