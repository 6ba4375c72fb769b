//! API tokens and invites: secrets that are shown once.

use std::time::Duration;

use super::ServiceError;
use super::accounts::{AccountService, later, random};
use super::auditing::Event;
use super::caller::{Caller, owner};
use crate::account::{ApiToken, Invite, Session, SessionDigest, TokenId, TokenName, UserId};
use crate::api::TokenView;
use crate::causes::chain;
use crate::ports::Action;
use crate::secret::Secret;

/// The prefix of an API token, so that people and secret scanners recognise one.
const TOKEN_PREFIX: &str = "vct_";

/// The prefix of an invite.
const INVITE_PREFIX: &str = "vci_";

/// Longest name of a token, in characters.
const MAX_TOKEN_NAME_CHARS: usize = 100;

/// Most tokens per user.
const MAX_TOKENS: usize = 100;

/// A new API token.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token as its owner sees it from now on.
    pub token: TokenView,
    /// The secret. It is shown only once.
    pub secret: Secret<String>,
}

impl AccountService {
    /// Creates an invite that is valid for one registration within this time. The secret is shown only once; the store
    /// keeps its hash.
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
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// let settings = AccountSettings { registration: Registration::Invite, ..AccountSettings::default() };
    /// # let builder = AccountService::builder_with_clock(repository, hasher, clock);
    /// let accounts = builder.with_settings(settings).build();
    ///
    /// let invite = accounts.invite(Duration::from_secs(7 * 24 * 60 * 60)).await?;
    /// accounts.register("ada", [&password, &password], &invite, address, None).await?;
    /// let second = accounts.register("bob", [&password, &password], &invite, address, None).await;
    /// assert!(matches!(second, Err(ServiceError::InviteInvalid)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn invite(&self, lasts: Duration) -> Result<Secret<String>, ServiceError> {
        let ports = self.ports();
        let secret = Secret::new(format!("{INVITE_PREFIX}{}", random()?));
        let expires_at = later(ports.clock.now(), lasts);
        let expires_at = expires_at.ok_or_else(|| {
            ServiceError::invalid("days", "the invite would expire too far in the future; use fewer days")
        })?;
        ports.accounts.invite(&Invite { digest: SessionDigest::of(&secret), expires_at }).await?;
        Ok(secret)
    }

    /// Revokes all unused invites and returns how many there were.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn revoke_invites(&self) -> Result<u64, ServiceError> {
        Ok(self.ports().accounts.revoke_invites().await?)
    }

    /// Creates an API token for the caller.
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
    /// let lasts = Duration::from_secs(90 * 24 * 60 * 60);
    /// let IssuedToken { token, secret } = accounts.create_token(caller, "backup", Some(lasts)).await?;
    /// println!("{} expires at {:?}", token.name, token.expires_at);
    ///
    /// let program = accounts.authenticate(Some(&Proof::Token(secret))).await?;
    /// assert!(program.by_token && program.viewer == caller.viewer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] without a session, [`ServiceError::Invalid`] for the name,
    /// [`ServiceError::Conflict`] at the limit of tokens, [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn create_token(
        &self,
        caller: Caller,
        name: &str,
        lasts: Option<Duration>,
    ) -> Result<IssuedToken, ServiceError> {
        let ports = self.ports();
        let user = owner(caller)?;
        let name = name.trim();
        if name.is_empty()
            || name.chars().count() > MAX_TOKEN_NAME_CHARS
            || name.chars().any(vocalizer_api::text::is_invisible)
        {
            let message = format!("invalid token name: use 1 to {MAX_TOKEN_NAME_CHARS} visible characters");
            return Err(ServiceError::invalid("name", message));
        }
        if ports.accounts.tokens(user).await?.len() >= MAX_TOKENS {
            let message = "too many API tokens; revoke one that is no longer used";
            return Err(ServiceError::Conflict { message, field: None });
        }
        let secret = Secret::new(format!("{TOKEN_PREFIX}{}", random()?));
        let created_at = ports.clock.now();
        let expires_at = lasts.and_then(|lasts| later(created_at, lasts));
        let (id, name) = (TokenId::random(), name.to_owned());
        let digest = SessionDigest::of(&secret);
        let token = Some(TokenName { id, name: name.clone() });
        ports.accounts.open_session(&Session { digest, user, created_at, expires_at, token }).await?;
        self.audit_user(user, Action::TokenCreated, Some(id.to_string()), None).await;
        Ok(IssuedToken { token: ApiToken { id, name, created_at, expires_at }.into(), secret })
    }

    /// Returns the caller's API tokens, newest first.
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
    /// accounts.create_token(caller, "backup", None).await?;
    /// let names: Vec<_> = accounts.tokens(caller).await?.into_iter().map(|token| token.name).collect();
    /// assert_eq!(names, ["backup"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] without a session, [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn tokens(&self, caller: Caller) -> Result<Vec<TokenView>, ServiceError> {
        let tokens = self.ports().accounts.tokens(owner(caller)?).await?;
        Ok(tokens.into_iter().map(TokenView::from).collect())
    }

    /// Revokes one of the caller's API tokens.
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
    /// let issued = accounts.create_token(caller, "backup", None).await?;
    /// accounts.revoke_token(caller, issued.token.id).await?;
    /// assert!(accounts.authenticate(Some(&Proof::Token(issued.secret))).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] for another user's token, [`ServiceError::Unauthenticated`] without a session,
    /// [`ServiceError::Unavailable`].
    pub async fn revoke_token(&self, caller: Caller, id: TokenId) -> Result<(), ServiceError> {
        let user = owner(caller)?;
        match self.ports().accounts.revoke_token(user, id).await? {
            true => {
                self.audit_user(user, Action::TokenRevoked, Some(id.to_string()), None).await;
                Ok(())
            }
            false => Err(ServiceError::NotFound { what: "token" }),
        }
    }

    /// Records an event of a user.
    pub(super) async fn audit_user(
        &self,
        user: UserId,
        action: Action,
        subject: Option<String>,
        details: Option<String>,
    ) {
        match self.ports().accounts.find(user).await {
            Ok(Some(account)) => self.audit(Event { subject, details, ..Event::of(&account, action) }).await,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = chain(&error), action = action.name(), "writing the audit log failed")
            }
        }
    }
}
