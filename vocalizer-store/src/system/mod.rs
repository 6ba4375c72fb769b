//! Adapters of the machine itself: the system clock, and password hashing with argon2id.
//!
//! ```
//! use std::sync::Arc;
//!
//! use vocalizer_core::ports::{Clock, PasswordHasher};
//! use vocalizer_store::system::{Argon2Passwords, SystemClock};
//!
//! # fn main() -> Result<(), vocalizer_core::ports::PasswordError> {
//! let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
//! let passwords: Arc<dyn PasswordHasher> = Arc::new(Argon2Passwords::new(2)?);
//! # Ok(())
//! # }
//! ```

mod clock;
mod passwords;

pub use clock::SystemClock;
pub use passwords::Argon2Passwords;
