//! Tests of accounts under clock changes.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::memory::{MemoryAccounts, PlainPasswords};
use vocalizer_core::ports::Clock;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, LoginFrom, NewSession, Proof, ServiceError};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A clock that can be set forwards and backwards.
struct SettableClock(Mutex<OffsetDateTime>);

impl SettableClock {
    fn step(&self, by: time::Duration) {
        let mut now = self.0.lock().unwrap();
        *now += by;
    }
}

#[async_trait]
impl Clock for SettableClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

struct Fixture {
    accounts: AccountService,
    clock: Arc<SettableClock>,
}

impl Fixture {
    fn new() -> Self {
        let clock = Arc::new(SettableClock(Mutex::new(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap())));
        Self {
            accounts: AccountService::builder_with_clock(
                Arc::new(MemoryAccounts::default()),
                Arc::new(PlainPasswords),
                Arc::clone(&clock) as _,
            )
            .build(),
            clock,
        }
    }

    async fn register(&self) -> NewSession {
        let password = secret("correct horse");
        self.accounts.register("ada", [&password, &password], &Secret::default(), ADDRESS, None).await.unwrap()
    }

    async fn login(&self, password: &str) -> Result<NewSession, ServiceError> {
        self.accounts.login("ada", &secret(password), LoginFrom { address: ADDRESS, before: None, device: None }).await
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
async fn correct_password_logs_in_after_clock_goes_back_a_year() {
    let fixture = Fixture::new();
    fixture.register().await;
    // First without a delay, then with one.
    for wrong in [1, 7] {
        for _ in 0..wrong {
            let refused = fixture.login("wrong horse").await.unwrap_err();
            assert!(
                matches!(refused, ServiceError::Unauthenticated { .. } | ServiceError::Throttled { .. }),
                "{refused}"
            );
        }
        fixture.clock.step(time::Duration::days(-365));
        fixture.login("correct horse").await.unwrap();
    }
    // Wrong passwords are still throttled, with delays of at most 15 minutes.
    let mut waits = Vec::new();
    for _ in 0..40 {
        if let Err(ServiceError::Throttled { retry_after }) = fixture.login("wrong horse").await {
            waits.push(retry_after);
            fixture.clock.step(retry_after.try_into().unwrap());
        }
    }
    assert!(waits.len() >= 10 && waits.iter().max().unwrap() <= &Duration::from_secs(15 * 60), "{waits:?}");
}

#[tokio::test]
async fn clock_temporarily_ahead_ends_no_session() {
    let fixture = Fixture::new();
    let session = fixture.register().await;
    fixture.clock.step(time::Duration::days(60));
    assert!(!fixture.is_open(&session).await, "the session is expired by this clock");
    fixture.accounts.sweep().await.unwrap();
    fixture.clock.step(time::Duration::days(-60));
    assert!(fixture.is_open(&session).await);
    // A session that expired long ago is deleted.
    fixture.clock.step(time::Duration::days(365));
    assert_eq!(fixture.accounts.sweep().await.unwrap(), 1);
}
