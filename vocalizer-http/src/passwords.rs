//! Passwords by argon2id.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{Error as HashError, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use vocalizer_core::account::PasswordHash;
use vocalizer_core::ports::{PasswordError, PasswordHasher};
use vocalizer_core::secret::Secret;

/// Memory for one hash in KiB, passes over it, and lanes: what OWASP recommends for argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many may wait for their turn before more are sent away.
const MAX_WAITING: usize = 64;

/// argon2id with OWASP's parameters (m = 19 MiB, t = 2, p = 1), on the blocking pool, a few at a time: each takes 19 MiB
/// and some ten milliseconds of a core, and a flood of logins must not take all of them.
#[derive(Debug)]
pub struct Argon2Passwords {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// What a password is checked against where nobody has the name.
    nobodys: String,
}

impl Argon2Passwords {
    /// A hasher that works on at most `at_once` passwords at the same time, at least one.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Failed`] where there is no memory or no randomness for even one.
    pub fn new(at_once: usize) -> Result<Self, PasswordError> {
        let nobodys = hash("a password that is nobody's")?;
        Ok(Self { turns: Arc::new(Semaphore::new(at_once.max(1))), waiting: AtomicUsize::new(0), nobodys })
    }

    async fn in_turn<T, F>(&self, work: F) -> Result<T, PasswordError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, PasswordError> + Send + 'static,
    {
        let _waiting = Waiting::enter(&self.waiting)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|e| PasswordError::Failed(e.into()))?;
        // The turn goes into the thread: it ends with the work, and not with a caller who has left.
        let work = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        work.await.map_err(|e| PasswordError::Failed(e.into()))?
    }
}

/// One who waits for a turn.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(PasswordError::Failed("too many passwords are being checked at this moment".into()));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    async fn hash(&self, password: &Secret<String>) -> Result<PasswordHash, PasswordError> {
        let password = password.clone();
        self.in_turn(move || hash(password.expose())).await.map(PasswordHash::new)
    }

    async fn verify(&self, password: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        let password = password.clone();
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.nobodys.clone(), |hash| hash.expose().to_owned());
        let right = self.in_turn(move || {
            let hash = Phc::new(&hash).map_err(|e| PasswordError::Malformed(e.to_string().into()))?;
            match argon2()?.verify_password(password.expose().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(HashError::PasswordInvalid) => Ok(false),
                Err(error) => Err(PasswordError::Failed(error.to_string().into())),
            }
        });
        Ok(right.await? && known)
    }
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|e| PasswordError::Failed(e.to_string().into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = argon2()?.hash_password(password.as_bytes());
    Ok(hash.map_err(|e| PasswordError::Failed(e.to_string().into()))?.to_string())
}
