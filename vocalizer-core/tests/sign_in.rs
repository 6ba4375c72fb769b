//! Tests of sign-ins by an identity provider.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::account::Identity;
use vocalizer_core::memory::{ManualClock, MemoryAccounts, PlainPasswords};
use vocalizer_core::ports::{IdentityError, IdentityProvider, ProviderUser, SignInAttempt};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{
    AccountService, BegunSignIn, Caller, LoginFrom, ProviderAnswer, ProviderSettings, SIGN_IN_LASTS, ServiceError,
    SignedIn,
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
    accounts: AccountService,
}

impl Place {
    fn new() -> Self {
        let (provider, clock) = (Arc::<Fake>::default(), Arc::new(ManualClock::new()));
        let settings = ProviderSettings { name: "Example".to_owned(), creates_users: true };
        let builder = AccountService::builder_with_clock(
            Arc::<MemoryAccounts>::default(),
            Arc::new(PlainPasswords),
            clock.clone(),
        );
        let accounts = builder.with_identity_provider(provider.clone(), settings).build();
        Self { provider, clock, accounts }
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
