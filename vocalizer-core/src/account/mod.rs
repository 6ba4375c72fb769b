//! Users, their sessions, and the rules for viewing and deleting songs.

mod client;
mod credential;
mod identity;
mod invite;
mod session;
mod share_link;
mod user;
mod viewer;

pub use client::{Client, Share, household};
pub use credential::{PasswordHash, SessionDigest};
pub use identity::Identity;
pub use invite::{Invite, Registration};
pub use session::{ApiToken, Session, TokenName};
pub use share_link::ShareLink;
pub use user::{Account, Username, UsernameError};
pub use viewer::Viewer;
pub use vocalizer_api::id::{ParseShareIdError, ParseTokenIdError, ParseUserIdError, ShareId, TokenId, UserId};
