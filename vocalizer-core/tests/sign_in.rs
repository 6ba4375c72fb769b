//! Tests of sign-ins by an identity provider.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::account::{Identity, Viewer};
use vocalizer_core::memory::{ManualClock, MemoryAccounts, MemoryAudit, PlainPasswords};
use vocalizer_core::ports::{
    AccountRepository as _, AuditLog as _, AuditSearch, IdentityError, IdentityProvider, ProviderUser, SignInAttempt,
};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{
    AccountService, AccountSettings, BegunSignIn, Caller, LoginFrom, NewSession, ProviderAnswer, ProviderSettings,
    SIGN_IN_LASTS, ServiceError, SignedIn,
};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A provider where the code is the subject. Remembers the last attempt.
#[derive(Default)]
struct Fake {
    name: Mutex<Option<String>>,
    attempt: Mutex<Option<SignInAttempt>>,
}

#[async_trait]
impl IdentityProvider for Fake {
    fn issuer(&self) -> &str {
        "https://id.example.org"
    }

    async fn authorization_url(&self, attempt: &SignInAttempt) -> Result<String, IdentityError> {
        *self.attempt.lock().unwrap() = Some(attempt.clone());
        Ok("https://id.example.org/auth".to_owned())
    }

    async fn identify(
        &self,
        code: &Secret<String>,
        attempt: &SignInAttempt,
        _: OffsetDateTime,
    ) -> Result<ProviderUser, IdentityError> {
        let begun = self.attempt.lock().unwrap().clone().unwrap();
        for (begun, finished) in [
            (&begun.state, &attempt.state),
            (&begun.nonce, &attempt.nonce),
            (&begun.code_verifier, &attempt.code_verifier),
        ] {
            assert_eq!(begun.expose(), finished.expose());
        }
        let identity = Identity { issuer: self.issuer().to_owned(), subject: code.expose().clone() };
        Ok(ProviderUser { identity, name: self.name.lock().unwrap().clone() })
    }
}

struct Place {
    provider: Arc<Fake>,
    clock: Arc<ManualClock>,
    repository: Arc<MemoryAccounts>,
    audit: Arc<MemoryAudit>,
    accounts: AccountService,
}

impl Place {
    fn new() -> Self {
        Self::with(AccountSettings::default())
    }

    fn with(settings: AccountSettings) -> Self {
        let (repository, audit) = (Arc::<MemoryAccounts>::default(), Arc::<MemoryAudit>::default());
        let (provider, clock) = (Arc::<Fake>::default(), Arc::new(ManualClock::new()));
        let usage = ProviderSettings { name: "Example".to_owned(), creates_users: true };
        let builder = AccountService::builder_with_clock(repository.clone(), Arc::new(PlainPasswords), clock.clone());
        let builder = builder.with_identity_provider(provider.clone(), usage).with_audit(audit.clone());
        let accounts = builder.with_settings(settings).build();
        Self { provider, clock, repository, audit, accounts }
    }

    async fn finish(&self, begun: &BegunSignIn, subject: &str) -> Result<SignedIn, ServiceError> {
        self.finish_with(&begun.cookie, subject).await
    }

    async fn finish_with(&self, cookie: &Secret<String>, subject: &str) -> Result<SignedIn, ServiceError> {
        let state = self.provider.attempt.lock().unwrap().as_ref().unwrap().state.expose().clone();
        let answer = ProviderAnswer { state, code: Secret::new(subject.to_owned()), ..ProviderAnswer::default() };
        let from = LoginFrom { address: ADDRESS, before: None, device: None };
        self.accounts.finish_sign_in(Some(cookie), &answer, Caller::ANONYMOUS, from).await
    }

    /// Registers a user with a password and returns the caller.
    async fn registered(&self, name: &str) -> Caller {
        let password = Secret::new("correct horse".to_owned());
        let session = self.accounts.register(name, [&password, &password], &Secret::default(), ADDRESS, None).await;
        caller(&session.unwrap())
    }

    async fn link(&self, caller: Caller, subject: &str) -> Result<SignedIn, ServiceError> {
        let begun = self.accounts.begin_link(caller).await.unwrap();
        let state = self.provider.attempt.lock().unwrap().as_ref().unwrap().state.expose().clone();
        let answer = ProviderAnswer { state, code: Secret::new(subject.to_owned()), ..ProviderAnswer::default() };
        let from = LoginFrom { address: ADDRESS, before: None, device: None };
        self.accounts.finish_sign_in(Some(&begun.cookie), &answer, caller, from).await
    }

    /// Returns the entries of the audit log about identities: the action and the details.
    async fn audited(&self) -> Vec<(String, String)> {
        let search = AuditSearch { since: OffsetDateTime::UNIX_EPOCH, limit: 100 };
        let mut entries = self.audit.entries(&search).await.unwrap();
        entries.retain(|entry| entry.action.starts_with("identity"));
        entries.into_iter().rev().map(|entry| (entry.action, entry.details.unwrap_or_default())).collect()
    }

    /// Signs in a person whom the provider calls by this name, and returns the name here.
    async fn named(&self, subject: &str, name: Option<&str>) -> String {
        *self.provider.name.lock().unwrap() = name.map(str::to_owned);
        let begun = self.accounts.begin_sign_in().await.unwrap();
        match self.finish(&begun, subject).await.unwrap() {
            SignedIn::Session(session) => session.user.username,
            SignedIn::Linked => panic!("linked"),
        }
    }
}

fn caller(session: &NewSession) -> Caller {
    Caller { viewer: Viewer::User(session.user.id), ..Caller::ANONYMOUS }
}

#[tokio::test]
async fn user_disconnects_the_account_and_the_audit_log_says_from_where() {
    let place = Place::new();
    let ada = place.registered("ada").await;
    place.accounts.unlink(ada).await.unwrap();
    assert!(matches!(place.link(ada, "17").await.unwrap(), SignedIn::Linked));
    assert!(place.accounts.is_linked(ada).await.unwrap());
    place.accounts.unlink(ada).await.unwrap();
    place.accounts.unlink(ada).await.unwrap();
    assert!(!place.accounts.is_linked(ada).await.unwrap());
    let begun = place.accounts.begin_sign_in().await.unwrap();
    let SignedIn::Session(other) = place.finish(&begun, "17").await.unwrap() else { panic!("linked") };
    assert_ne!(Some(other.user.id), ada.viewer.user(), "the identity is free");
    let issuer = "https://id.example.org";
    let expected = [("identity_linked", issuer), ("identity_unlinked", issuer)];
    assert_eq!(place.audited().await, expected.map(|(action, details)| (action.to_owned(), details.to_owned())));
    for stranger in [Caller::ANONYMOUS, Caller { by_token: true, ..ada }] {
        assert!(matches!(place.accounts.unlink(stranger).await, Err(ServiceError::Unauthenticated { .. })));
    }
}

#[tokio::test]
async fn user_without_a_password_cannot_disconnect() {
    let place = Place::new();
    *place.provider.name.lock().unwrap() = Some("ada".to_owned());
    let begun = place.accounts.begin_sign_in().await.unwrap();
    let SignedIn::Session(session) = place.finish(&begun, "17").await.unwrap() else { panic!("linked") };
    let ada = caller(&session);
    assert!(matches!(place.accounts.unlink(ada).await, Err(ServiceError::Conflict { .. })));
    assert!(place.accounts.is_linked(ada).await.unwrap());
    // What is stored in place of a hash is no password, also for who can read it.
    let stored = place.repository.find(session.user.id).await.unwrap().unwrap().password_hash;
    let stored = Secret::new(stored.expose().to_owned());
    let from = LoginFrom { address: ADDRESS, before: None, device: None };
    assert!(matches!(place.accounts.login("ada", &stored, from).await, Err(ServiceError::Unauthenticated { .. })));
    let new = Secret::new("correct horse".to_owned());
    assert!(matches!(
        place.accounts.change_password(ada, &stored, [&new, &new]).await,
        Err(ServiceError::Unauthenticated { .. })
    ));

    let place = Place::with(AccountSettings { password_sign_in: false, ..AccountSettings::default() });
    place.accounts.ensure_user("bob", &new).await.unwrap();
    let bob = place.repository.find_by_username(&"bob".parse().unwrap()).await.unwrap().unwrap().id;
    let bob = Caller { viewer: Viewer::User(bob), ..Caller::ANONYMOUS };
    place.link(bob, "18").await.unwrap();
    assert!(matches!(place.accounts.unlink(bob).await, Err(ServiceError::Conflict { .. })));
}

#[tokio::test]
async fn old_sign_in_is_refused() {
    let place = Place::new();
    let begun = place.accounts.begin_sign_in().await.unwrap();
    place.clock.advance(SIGN_IN_LASTS - Duration::from_secs(1));
    assert!(matches!(place.finish(&begun, "17").await, Ok(SignedIn::Session(_))));
    let begun = place.accounts.begin_sign_in().await.unwrap();
    place.clock.advance(SIGN_IN_LASTS);
    assert!(matches!(place.finish(&begun, "17").await, Err(ServiceError::Unauthenticated { .. })));
}

#[tokio::test]
async fn answer_without_code_is_refused_before_the_provider_is_asked() {
    let place = Place::new();
    let begun = place.accounts.begin_sign_in().await.unwrap();
    let finished = place.finish(&begun, "").await;
    assert!(matches!(finished, Err(ServiceError::Unauthenticated { .. })), "{finished:?}");
}

#[tokio::test]
async fn cookie_cannot_be_changed() {
    let place = Place::new();
    let begun = place.accounts.begin_sign_in().await.unwrap();
    let cookie = begun.cookie.expose().clone();
    let (time, random) = cookie.split_once('_').unwrap();
    let later = time.parse::<i64>().unwrap() + 1;
    for changed in [
        format!("{later}_{random}"),
        // To link the identity instead, and times that no server writes.
        format!("{cookie}_{}", "0".repeat(32)),
        format!("_{random}"),
        format!("{}_{random}", i64::MIN),
        format!("{}_{random}", i64::MAX),
        random.to_owned(),
        String::new(),
    ] {
        let finished = place.finish_with(&Secret::new(changed.clone()), "17").await;
        assert!(matches!(finished, Err(ServiceError::Unauthenticated { .. })), "{changed}");
    }
    assert!(place.finish(&begun, "17").await.is_ok());
}

#[tokio::test]
async fn new_user_gets_a_free_valid_name() {
    let place = Place::new();
    for (subject, name, expected) in [
        ("1", Some("ada"), "ada"),
        ("2", Some("ADA"), "ADA-2"),
        ("3", Some(" Ada Lovelace, <countess> "), "Ada.Lovelace...countess."),
        ("4", Some("Дмитрий"), "Дмитрий"),
        // Mixed scripts and names without a letter are no names here.
        ("5", Some("\u{410}da"), "user"),
        ("6", Some("?!"), "user-2"),
        ("7", None, "user-3"),
        ("8", Some(""), "user-4"),
        // The name of an existing user.
        ("9", Some("user-2"), "user-2-2"),
    ] {
        assert_eq!(place.named(subject, name).await, expected, "{name:?}");
    }
    let long = place.named("10", Some(&"x".repeat(500))).await;
    assert!(long.chars().count() <= 64, "{long}");
    for subject in 20..50 {
        assert!(place.named(&subject.to_string(), Some("ada")).await.starts_with("ada-"));
    }
    // Every account still belongs to its user.
    assert_eq!(place.named("1", Some("another")).await, "ada");
}

#[tokio::test]
async fn many_sign_ins_from_one_address_wait() {
    let place = Place::new();
    let mut throttled = false;
    for _ in 0..60 {
        let begun = place.accounts.begin_sign_in().await.unwrap();
        let state = place.provider.attempt.lock().unwrap().as_ref().unwrap().state.expose().clone();
        // The provider refuses each of them.
        let answer = ProviderAnswer { state, error: Some("server_error".to_owned()), ..ProviderAnswer::default() };
        let from = LoginFrom { address: ADDRESS, before: None, device: None };
        let finished = place.accounts.finish_sign_in(Some(&begun.cookie), &answer, Caller::ANONYMOUS, from).await;
        throttled |= matches!(finished, Err(ServiceError::Throttled { .. }));
    }
    assert!(throttled);
    place.clock.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(place.named("17", Some("ada")).await, "ada");
}
