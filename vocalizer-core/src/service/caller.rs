//! Who sends a request, with which credential, and what a login needs and returns.

use std::net::IpAddr;
use std::time::Duration;

use super::ServiceError;
use crate::account::{SessionDigest, UserId, Viewer};
use crate::api::UserView;
use crate::secret::Secret;

/// The credential that a request carries.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A session cookie.
    Cookie(Secret<String>),
    /// An API token.
    Token(Secret<String>),
    /// A name that a trusted proxy has verified.
    Named {
        /// The name.
        username: String,
        /// Whether an unknown user is registered.
        may_create: bool,
        /// The address of the user.
        address: IpAddr,
    },
}

/// The caller of a request and how it was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user, or anonymous.
    pub viewer: Viewer,
    /// The session or token, if there is one.
    pub session: Option<SessionDigest>,
    /// Whether the credential is an API token, which may do everything except change the account.
    pub by_token: bool,
    /// Whether a session cookie was sent that is no longer valid. The caller is anonymous, perhaps without knowing it.
    pub lapsed: bool,
}

impl Caller {
    /// A caller without a session.
    pub const ANONYMOUS: Self = Self { viewer: Viewer::Anonymous, session: None, by_token: false, lapsed: false };
}

/// A new session.
#[derive(Debug)]
pub struct NewSession {
    /// The user.
    pub user: UserView,
    /// The secret for the session cookie.
    pub secret: Secret<String>,
    /// How long it lasts.
    pub lasts: Duration,
    /// The secret for a second cookie. It identifies this device at the user's next login, so that wrong guesses by
    /// others do not slow that login down.
    pub device: Secret<String>,
}

/// Where a login comes from.
#[derive(Debug)]
pub struct LoginFrom<'a> {
    /// The address.
    pub address: IpAddr,
    /// The session that was open before.
    pub before: Option<SessionDigest>,
    /// [`NewSession::device`] of an earlier login on the same device.
    pub device: Option<&'a Secret<String>>,
}

pub(super) const NO_SESSION: &str = "log in first";

/// Returns the user whose account is to be changed. Tokens are rejected: a stolen one could create others.
pub(super) fn owner(caller: Caller) -> Result<UserId, ServiceError> {
    match caller.viewer {
        Viewer::User(id) if !caller.by_token => Ok(id),
        Viewer::User(_) => Err(ServiceError::Unauthenticated {
            message: "an API token cannot change the account; log in with the password",
        }),
        Viewer::Anonymous | Viewer::Shared(_) => Err(ServiceError::Unauthenticated { message: NO_SESSION }),
    }
}
