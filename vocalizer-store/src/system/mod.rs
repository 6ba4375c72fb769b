//! What a program needs from the machine: the system clock, password hashing with argon2id, a lock on its data folder,
//! generated secrets, and the signal to stop.
//!
//! ```
//! use vocalizer_store::system::{FolderLock, load_or_generate_secret};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = tempfile::tempdir()?;
//! let _lock = FolderLock::lock(data.path())?;
//! let token = load_or_generate_secret(&data.path().join("worker-token"))?;
//! assert_eq!(token.expose().len(), 64);
//! # Ok(())
//! # }
//! ```

mod folder;
#[cfg(feature = "passwords")]
mod passwords;
mod stop;

pub use folder::{FolderError, FolderLock, create_private_folder, load_or_generate_secret};
#[cfg(feature = "passwords")]
pub use passwords::Argon2Passwords;
pub use stop::stop_signal;
pub use vocalizer_core::SystemClock;
