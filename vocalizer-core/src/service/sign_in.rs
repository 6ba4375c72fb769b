//! Sign-in by an identity provider.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::ServiceError;
use super::accounts::{AccountPorts, AccountService, random};
use super::auditing::Event;
use super::caller::{Caller, LoginFrom, NewSession, owner};
use super::device;
use super::provider::Provider;
use crate::account::{Account, Identity, PasswordHash, UserId, Username, Viewer, household};
use crate::api::{ProviderView, SignInView};
use crate::causes::chain;
use crate::ports::{Action, IdentityError, ProviderUser, RepositoryError, SignInAttempt, ThrottleSettings};
use crate::secret::Secret;

/// How long a sign-in may take, from the first redirect until the browser comes back.
pub const SIGN_IN_LASTS: Duration = Duration::from_secs(10 * 60);

/// A state is good for one attempt.
const ONCE: ThrottleSettings =
    ThrottleSettings { free: 0, first: SIGN_IN_LASTS, longest: SIGN_IN_LASTS, forget_after: SIGN_IN_LASTS };

/// How many names are tried for a new user: the name at the provider, then numbered ones, then random ones.
const MOST_NAMES: u32 = 12;

const NOT_BEGUN: ServiceError = ServiceError::Unauthenticated {
    message: "this sign-in was not started in this browser, was used before or took too long; start again",
};
const NOT_VALID: ServiceError =
    ServiceError::Unauthenticated { message: "the sign-in provider's response is not valid; start again" };

/// A sign-in on its way to the provider.
#[derive(Debug)]
pub struct BegunSignIn {
    /// The address to which the browser is sent.
    pub url: String,
    /// The secret for a cookie that binds the sign-in to the browser, for [`SIGN_IN_LASTS`].
    pub cookie: Secret<String>,
}

/// What the browser brings back from the provider.
#[derive(Debug, Clone, Default)]
pub struct ProviderAnswer {
    /// The state.
    pub state: String,
    /// The code.
    pub code: Secret<String>,
    /// The issuer, if the provider says who it is.
    pub issuer: Option<String>,
    /// The provider's code for an error.
    pub error: Option<String>,
}

/// What a sign-in has led to.
#[derive(Debug)]
pub enum SignedIn {
    /// A session.
    Session(NewSession),
    /// The identity is linked to the account of the caller, whose session stays open.
    Linked,
}

impl AccountService {
    /// Returns the ways to sign in.
    #[must_use]
    pub fn sign_in_view(&self) -> SignInView {
        let provider = self.ports().provider.as_ref();
        SignInView::new(
            self.settings().password_sign_in,
            provider.map(|Provider { port, settings }| {
                let mut view = ProviderView::new(settings.name.clone());
                view.logout = port.ends_sessions();
                view
            }),
        )
    }

    /// Begins a sign-in by the identity provider.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # struct Example;
    /// # #[async_trait::async_trait]
    /// # impl IdentityProvider for Example {
    /// #     fn issuer(&self) -> &str { "https://id.example.org" }
    /// #     async fn authorization_url(&self, attempt: &SignInAttempt) -> Result<String, IdentityError> {
    /// #         Ok(format!("https://id.example.org/auth?state={}", attempt.state.expose()))
    /// #     }
    /// #     async fn identify(
    /// #         &self, _: &Secret<String>, _: &SignInAttempt, _: time::OffsetDateTime,
    /// #     ) -> Result<ProviderUser, IdentityError> {
    /// #         let identity = Identity { issuer: self.issuer().to_owned(), subject: "17".to_owned() };
    /// #         Ok(ProviderUser { identity, name: Some("ada".to_owned()) })
    /// #     }
    /// # }
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let builder = AccountService::builder_with_clock(repository, hasher, Arc::new(ManualClock::new()));
    /// # let provider = Arc::new(Example);
    /// let settings = ProviderSettings { name: "Example".to_owned(), creates_users: true };
    /// let accounts = builder.with_identity_provider(provider, settings).build();
    /// let begun = accounts.begin_sign_in().await?;
    ///
    /// // The browser goes to `begun.url`, and comes back with the state and a code.
    /// let state = begun.url.split_once("state=").map(|(_, state)| state.to_owned()).unwrap_or_default();
    /// let answer = ProviderAnswer { state, code: Secret::new("a code".to_owned()), ..ProviderAnswer::default() };
    /// let from = LoginFrom { address: "192.0.2.1".parse()?, before: None, device: None };
    /// let signed_in = accounts.finish_sign_in(Some(&begun.cookie), &answer, Caller::ANONYMOUS, from).await?;
    /// assert!(matches!(signed_in, SignedIn::Session(session) if session.user.username == "ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] without a provider, [`ServiceError::ProviderUnavailable`] or [`ServiceError::Internal`].
    pub async fn begin_sign_in(&self) -> Result<BegunSignIn, ServiceError> {
        self.begin(None).await
    }

    /// Begins a sign-in whose identity is linked to the caller's account, so that the user can later sign in with it.
    ///
    /// # Errors
    ///
    /// As for [`Self::begin_sign_in`]; [`ServiceError::Unauthenticated`] without a session.
    pub async fn begin_link(&self, caller: Caller) -> Result<BegunSignIn, ServiceError> {
        let user = owner(caller)?;
        self.begin(Some(user)).await
    }

    /// Returns whether the caller's account is linked to an identity of the provider.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] without a provider; [`ServiceError::Unauthenticated`] without a session;
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn is_linked(&self, caller: Caller) -> Result<bool, ServiceError> {
        let (provider, user) = (self.provider()?, owner(caller)?);
        let identities = self.ports().accounts.identities(user).await?;
        Ok(identities.iter().any(|identity| identity.issuer == provider.port.issuer()))
    }

    /// Unlinks the caller's account from all identities, so that the user signs in with the password only. Without an identity it
    /// succeeds.
    ///
    /// # Errors
    ///
    /// As for [`Self::is_linked`]; [`ServiceError::Conflict`] if the user could not sign in any more.
    pub async fn unlink(&self, caller: Caller) -> Result<(), ServiceError> {
        let (_, user) = (self.provider()?, owner(caller)?);
        let accounts = &self.ports().accounts;
        let identities = accounts.identities(user).await?;
        if identities.is_empty() {
            return Ok(());
        }
        let has_password = accounts.find(user).await?.is_some_and(|account| account.password_hash.is_some());
        if !(has_password && self.settings().password_sign_in) {
            let message = "you could not sign in any more: your account has no password, or this server takes none; \
                           ask its operator for a password first";
            return Err(ServiceError::Conflict { message, field: None });
        }
        accounts.unlink_identities(user).await?;
        tracing::info!(%user, "identities unlinked");
        self.audit_user(user, Action::IdentityUnlinked, None, Some(issuers(&identities))).await;
        Ok(())
    }

    /// Returns the address at which a user who has signed out here also signs out at the provider; `None` if the provider has
    /// none.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] without a provider whose sessions [end](crate::ports::IdentityProvider::ends_sessions);
    /// [`ServiceError::ProviderUnavailable`].
    pub async fn end_provider_session(&self) -> Result<Option<String>, ServiceError> {
        match self.provider()? {
            Provider { port, .. } if port.ends_sessions() => port.end_session_url().await.map_err(refusal),
            _ => Err(ServiceError::NotFound { what: "sign-out at the sign-in provider" }),
        }
    }

    async fn begin(&self, link: Option<UserId>) -> Result<BegunSignIn, ServiceError> {
        let provider = self.provider()?;
        let attempt = Attempt::new(self.ports().clock.now(), link)?;
        let url = provider.port.authorization_url(&attempt.values()).await.map_err(refusal)?;
        Ok(BegunSignIn { url, cookie: attempt.cookie })
    }

    /// Finishes a sign-in with what the browser brings back: `cookie` is the one of [`BegunSignIn`], `caller` who the browser
    /// is now. Ends the session that was open [`before`](LoginFrom::before).
    ///
    /// A state is good for one attempt, in the browser in which it began. An account belongs to the identity that is linked
    /// to it; a name or an e-mail address of the provider never leads to an existing account.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] without a provider; [`ServiceError::Unauthenticated`] for a state of another browser, an old
    /// or used one, and what the provider did not confirm; [`ServiceError::SignInRefused`] for a person who is not admitted;
    /// [`ServiceError::Conflict`] if the identity to link belongs to another account; [`ServiceError::Disabled`],
    /// [`ServiceError::Throttled`], [`ServiceError::ProviderUnavailable`], [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn finish_sign_in(
        &self,
        cookie: Option<&Secret<String>>,
        answer: &ProviderAnswer,
        caller: Caller,
        from: LoginFrom<'_>,
    ) -> Result<SignedIn, ServiceError> {
        let provider = self.provider()?;
        let AccountPorts { accounts, attempts, clock, .. } = self.ports();
        let now = clock.now();
        let attempt = cookie.and_then(|cookie| Attempt::parse(cookie, now)).ok_or(NOT_BEGUN)?;
        let values = attempt.values();
        if !values.state.matches(answer.state.as_bytes()) {
            return Err(NOT_BEGUN);
        }
        let network = format!("provider {}", household(from.address));
        self.count(&network, &self.settings().per_address).await?;
        if attempts.attempt(&format!("state {}", values.state.expose()), &ONCE, now).await?.is_some() {
            return Err(NOT_BEGUN);
        }
        if let Some(code) = &answer.error {
            tracing::info!(code = %code.escape_debug().take(64).collect::<String>(), "identity provider refused a sign-in");
            return Err(match code.as_str() {
                "access_denied" => ServiceError::Unauthenticated { message: "the sign-in was cancelled" },
                _ => ServiceError::Unauthenticated { message: "the sign-in provider refused the sign-in" },
            });
        }
        if answer.issuer.as_ref().is_some_and(|issuer| issuer != provider.port.issuer()) {
            return Err(NOT_VALID);
        }
        if answer.code.expose().is_empty() {
            return Err(NOT_VALID);
        }
        let identified = provider.port.identify(&answer.code, &values, now).await;
        let user = match identified {
            Ok(user) => user,
            Err(error) => {
                let details = match &error {
                    IdentityError::Unavailable(_) | IdentityError::Refused(_) => None,
                    IdentityError::Invalid(_) => Some("the provider's response is not valid"),
                    IdentityError::NotAdmitted(_) => Some("not admitted by the operator's rules"),
                };
                if details.is_some() {
                    self.sign_in_failed(from.address, details).await;
                }
                return Err(refusal(error));
            }
        };
        attempts.take_back(&network, clock.now()).await?;
        if attempt.link.is_some() {
            return self.link(&attempt, &user, caller).await.map(|()| SignedIn::Linked);
        }
        let account = match accounts.find_by_identity(&user.identity).await? {
            Some(account) => account,
            None if provider.settings.creates_users => self.create_identified(&user, from.address).await?,
            None => {
                self.sign_in_failed(from.address, Some("no account is linked to the identity")).await;
                return Err(ServiceError::SignInRefused {
                    message: "no account is connected to this sign-in; sign in with your password and connect it, or ask the \
                              server's operator",
                });
            }
        };
        let address = Some(from.address);
        if accounts.is_disabled(account.id).await? {
            let details = Some("the account is disabled".to_owned());
            self.audit(Event { address, details, ..Event::of(&account, Action::SignInFailed) }).await;
            return Err(ServiceError::Disabled);
        }
        let device = match from.device.filter(|device| device::recognise(device, &account).is_some()) {
            Some(device) => device.clone(),
            None => device::issue(&random()?, &account)?,
        };
        let session = self.open_session(&account, from.before, device).await?;
        let details = Some("by the identity provider".to_owned());
        self.audit(Event { address, details, ..Event::of(&account, Action::SignIn) }).await;
        Ok(SignedIn::Session(session))
    }

    fn provider(&self) -> Result<&Provider, ServiceError> {
        self.ports().provider.as_ref().ok_or(ServiceError::NotFound { what: "sign-in provider" })
    }

    async fn sign_in_failed(&self, address: IpAddr, details: Option<&'static str>) {
        let address = Some(address);
        let details = details.map(str::to_owned);
        self.audit(Event { address, details, ..Event::by("(unknown user)", Action::SignInFailed) }).await;
    }

    /// Links an identity to the account of the caller, who began the sign-in.
    async fn link(&self, attempt: &Attempt, user: &ProviderUser, caller: Caller) -> Result<(), ServiceError> {
        let accounts = &self.ports().accounts;
        let Viewer::User(id) = caller.viewer else { return Err(NOT_BEGUN) };
        if caller.by_token || attempt.link.as_deref() != Some(plain(id).as_str()) {
            return Err(NOT_BEGUN);
        }
        match accounts.link_identity(id, &user.identity).await {
            Err(RepositoryError::Conflict) => {
                return Err(ServiceError::Conflict {
                    message: "this sign-in is connected to another account",
                    field: None,
                });
            }
            linked => linked?,
        }
        tracing::info!(user = %id, "identity linked");
        self.audit_user(id, Action::IdentityLinked, None, Some(user.identity.issuer.clone())).await;
        Ok(())
    }

    /// Registers the user of an identity, under a name that is free, without a password.
    async fn create_identified(&self, user: &ProviderUser, address: IpAddr) -> Result<Account, ServiceError> {
        let AccountPorts { accounts, clock, .. } = self.ports();
        let password_hash = PasswordHash::none(&random()?);
        for number in 1..=MOST_NAMES {
            let username = username(user.name.as_deref().unwrap_or_default(), number, &random()?)?;
            let (id, password_hash) = (UserId::random(), password_hash.clone());
            let account = Account { id, username, password_hash, registered_at: clock.now() };
            match accounts.insert_identified(&account, &user.identity).await {
                Err(RepositoryError::Conflict) => {
                    // Two first sign-ins at once; otherwise the name is taken.
                    if let Some(other) = accounts.find_by_identity(&user.identity).await? {
                        return Ok(other);
                    }
                }
                inserted => {
                    inserted?;
                    tracing::info!(user = %id, "user registered by the identity provider");
                    let (subject, address) = (Some(account.username.to_string()), Some(address));
                    self.audit(Event { subject, address, ..Event::by("provider", Action::UserRegistered) }).await;
                    return Ok(account);
                }
            }
        }
        Err(ServiceError::Internal("no name for a new user is free".into()))
    }
}

/// Returns the issuers of identities, for the audit log. Subjects may be names.
pub(super) fn issuers(identities: &[Identity]) -> String {
    let mut issuers: Vec<_> = identities.iter().map(|identity| identity.issuer.as_str()).collect();
    issuers.dedup();
    issuers.join(", ")
}

fn refusal(error: IdentityError) -> ServiceError {
    match error {
        IdentityError::Unavailable(source) => ServiceError::ProviderUnavailable(source),
        IdentityError::Refused(source) => ServiceError::RefusedByProvider(source),
        IdentityError::Invalid(source) => {
            tracing::warn!(error = chain(source.as_ref()), "response of the identity provider refused");
            NOT_VALID
        }
        IdentityError::NotAdmitted(message) => ServiceError::SignInRefused { message },
    }
}

/// Returns a name for a new user: the one at the provider, with a number or random digits after the first try.
fn username(wanted: &str, number: u32, random: &str) -> Result<Username, ServiceError> {
    const FALLBACK: &str = "user";
    let is_allowed = |c: char| c.is_alphanumeric() || "._-+@".contains(c);
    let wanted = wanted.trim().chars().take(Username::MAX_CHARS - 10);
    let wanted: String = wanted.map(|c| if is_allowed(c) { c } else { '.' }).collect();
    let end = match number {
        1 => String::new(),
        2..10 => format!("-{number}"),
        _ => format!("-{}", random.chars().take(8).collect::<String>()),
    };
    let has_letter = wanted.chars().any(char::is_alphanumeric);
    let base = Some(wanted.as_str()).filter(|wanted| has_letter && Username::register(wanted).is_ok());
    let name = format!("{}{end}", base.unwrap_or(FALLBACK));
    Username::register(&name).map_err(|error| ServiceError::Internal(error.into()))
}

/// A sign-in that began in a browser. The cookie is all that is kept of it; the values for the provider are derived from it, so
/// that no client can choose a cookie for a given state.
struct Attempt {
    cookie: Secret<String>,
    /// The user to whose account the identity is linked.
    link: Option<String>,
}

impl Attempt {
    fn new(now: OffsetDateTime, link: Option<UserId>) -> Result<Self, ServiceError> {
        let link = link.map(plain);
        let mut text = format!("{}_{}", now.unix_timestamp(), random()?);
        if let Some(user) = &link {
            text.push('_');
            text.push_str(user);
        }
        Ok(Self { cookie: Secret::new(text), link })
    }

    /// Reads a cookie. Returns `None` if it is too old.
    fn parse(cookie: &Secret<String>, now: OffsetDateTime) -> Option<Self> {
        let mut parts = cookie.expose().split('_');
        let began_s: i64 = parts.next()?.parse().ok()?;
        let _random = parts.next().filter(|random| random.len() == 64)?;
        let link = parts.next().map(str::to_owned);
        let age_s = now.unix_timestamp().checked_sub(began_s)?;
        // The clock may have been set back a little.
        let is_valid = parts.next().is_none() && (-60..SIGN_IN_LASTS.as_secs().cast_signed()).contains(&age_s);
        is_valid.then(|| Self { cookie: cookie.clone(), link })
    }

    fn values(&self) -> SignInAttempt {
        let derived = |purpose: &str| {
            let digest = Sha256::digest(format!("vocalizer sign-in {purpose} {}", self.cookie.expose()));
            Secret::new(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        SignInAttempt { state: derived("state"), nonce: derived("nonce"), code_verifier: derived("code verifier") }
    }
}

/// Returns the ID as it may stand in a cookie.
fn plain(user: UserId) -> String {
    user.to_string().replace('-', "")
}
