//! Password hashing with argon2id.

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

/// Memory of one hash in KiB, iterations and lanes, as OWASP recommends for argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Maximum number of waiting requests; further ones fail.
const MAX_WAITING: usize = 64;

/// Password hashing with argon2id and OWASP's parameters (m = 19 MiB, t = 2, p = 1).
///
/// It runs on the blocking pool with limited concurrency: each hash takes 19 MiB and some ten milliseconds of a core,
/// and many logins at once must not take all cores.
#[derive(Debug)]
pub struct Argon2Passwords {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Checked for unknown usernames, so that the response time does not reveal them.
    dummy_hash: String,
}

impl Argon2Passwords {
    /// Creates a hasher for at most `at_once` passwords at the same time, at least one.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Failed`] if memory or randomness for one hash is not available.
    pub fn new(at_once: usize) -> Result<Self, PasswordError> {
        let dummy_hash = hash("dummy password")?;
        Ok(Self { permits: Arc::new(Semaphore::new(at_once.max(1))), waiting: AtomicUsize::new(0), dummy_hash })
    }

    async fn with_permit<T, F>(&self, work: F) -> Result<T, PasswordError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, PasswordError> + Send + 'static,
    {
        let _waiting = Waiting::enter(&self.waiting)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|e| PasswordError::Failed(e.into()))?;
        // The thread owns the permit: the work runs to its end even if the caller is cancelled.
        let work = spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        work.await.map_err(|e| PasswordError::Failed(e.into()))?
    }
}

/// Counts a waiting request until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(PasswordError::Failed("too many concurrent password checks".into()));
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
        self.with_permit(move || hash(password.expose())).await.map(PasswordHash::new)
    }

    async fn verify(&self, password: &Secret<String>, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        let password = password.clone();
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.dummy_hash.clone(), |hash| hash.expose().to_owned());
        let right = self.with_permit(move || {
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
