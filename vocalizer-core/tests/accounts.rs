//! Accounts under a clock that steps.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::account::PasswordHash;
use vocalizer_core::memory::MemoryAccounts;
use vocalizer_core::ports::{Clock, PasswordError, PasswordHasher};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{
    AccountPorts, AccountService, AccountSettings, LoginFrom, NewSession, Proof, ServiceError, Throttle,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A clock that is set by hand, forwards and backwards.
struct Stepping(Mutex<OffsetDateTime>);

impl Stepping {
    fn step(&self, by: time::Duration) {
        let mut now = self.0.lock().unwrap();
        *now += by;
    }
}

#[async_trait]
impl Clock for Stepping {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

/// Passwords as they are.
struct Plain;

#[async_trait]
impl PasswordHasher for Plain {
    async fn hash(&self, password: &Secret<String>) -> Result<PasswordHash, PasswordError> {
        Ok(PasswordHash::new(password.expose().clone()))
    }

    async fn verify(&self, password: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        Ok(hash.is_some_and(|hash| hash.expose() == password.expose()))
    }
}

struct Place {
    accounts: AccountService,
    clock: Arc<Stepping>,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(Stepping(Mutex::new(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap())));
        let ports = AccountPorts {
            accounts: Arc::new(MemoryAccounts::default()),
            attempts: Arc::new(Throttle::default()),
            passwords: Arc::new(Plain),
            clock: Arc::clone(&clock) as _,
        };
        Self { accounts: AccountService::new(ports, AccountSettings::default()), clock }
    }

    async fn registered(&self) -> NewSession {
        let password = secret("correct horse");
        self.accounts.register("ada", [&password, &password], &Secret::default(), HERE, None).await.unwrap()
    }

    async fn login(&self, password: &str) -> Result<NewSession, ServiceError> {
        self.accounts.login("ada", &secret(password), LoginFrom { address: HERE, before: None, device: None }).await
    }

    async fn is_open(&self, session: &NewSession) -> bool {
        let proof = Proof::Cookie(secret(session.secret.expose()));
        !self.accounts.authenticate(Some(&proof)).await.unwrap().lapsed
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn after_the_clock_went_back_a_year_the_right_password_logs_in() {
    let place = Place::new();
    place.registered().await;
    // Once without a delay, and once with one.
    for wrong in [1, 7] {
        for _ in 0..wrong {
            let refused = place.login("wrong horse").await.unwrap_err();
            assert!(
                matches!(refused, ServiceError::Unauthenticated { .. } | ServiceError::Throttled { .. }),
                "{refused}"
            );
        }
        place.clock.step(time::Duration::days(-365));
        place.login("correct horse").await.unwrap();
    }
    // Guessing is as slow as ever, and nobody waits for longer than a quarter of an hour.
    let mut waits = Vec::new();
    for _ in 0..40 {
        if let Err(ServiceError::Throttled { retry_after }) = place.login("wrong horse").await {
            waits.push(retry_after);
            place.clock.step(retry_after.try_into().unwrap());
        }
    }
    assert!(waits.len() >= 10 && waits.iter().max().unwrap() <= &Duration::from_secs(15 * 60), "{waits:?}");
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_ends_no_session_for_good() {
    let place = Place::new();
    let session = place.registered().await;
    place.clock.step(time::Duration::days(60));
    assert!(!place.is_open(&session).await, "it has ended, as far as anybody can tell");
    place.accounts.sweep().await.unwrap();
    place.clock.step(time::Duration::days(-60));
    assert!(place.is_open(&session).await);
    // What ended long ago does go.
    place.clock.step(time::Duration::days(365));
    assert_eq!(place.accounts.sweep().await.unwrap(), 1);
}
