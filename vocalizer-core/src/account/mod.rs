//! Users, their sessions, and who may see or delete what.

mod credential;
mod user;
mod viewer;

pub use credential::{PasswordHash, SessionDigest};
pub use user::{Account, ParseUserIdError, UserId, Username, UsernameError};
pub use viewer::Viewer;
