//! Errors for programs and for users.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::SongId;

/// An error of a request.
///
/// All of it is public; details for the operator are only in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
#[non_exhaustive]
pub struct ApiError {
    /// For programs: stable.
    pub code: ErrorCode,
    /// For users: one sentence, which may change.
    pub message: String,
    /// The form field at fault, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The song that the caller has already. Present only if `code` is `duplicate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<uuid::Uuid>"))]
    pub song_id: Option<SongId>,
}

impl ApiError {
    /// Returns an error without a field.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, song_id: None }
    }

    /// Returns the error with a form field.
    #[must_use]
    pub fn with_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Returns the error with a song.
    #[must_use]
    pub fn with_song(self, song: SongId) -> Self {
        Self { song_id: Some(song), ..self }
    }
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request cannot be parsed.
    Malformed,
    /// A value in the request is not acceptable.
    Invalid,
    /// A session or token is required, or the username and password do not match.
    Unauthenticated,
    /// The request comes from a page of another site, which may not act for the user.
    CrossSite,
    /// The server does not serve the request's host name.
    WrongHost,
    /// The resource does not exist, or the caller may not see it.
    NotFound,
    /// The resource does not support this method.
    MethodNotAllowed,
    /// The resource is not ready yet; retry after `Retry-After` seconds.
    NotReady,
    /// Conflicts with the current state: a taken username, or a transition that the song's status does not allow.
    Conflict,
    /// The caller has uploaded the same file before.
    Duplicate,
    /// The resource was deleted.
    Gone,
    /// A size exceeds its limit.
    TooLarge,
    /// The range begins past the end.
    RangeNotSatisfiable,
    /// The request did not arrive in time.
    Timeout,
    /// The file type or encoding is not supported.
    Unsupported,
    /// Too many requests; retry later.
    RateLimited,
    /// The uploader's storage quota is reached; delete songs to upload others.
    QuotaExceeded,
    /// Registration is closed on this server.
    RegistrationClosed,
    /// Registration requires an invite.
    InviteRequired,
    /// The invite is unknown, used or expired.
    InviteInvalid,
    /// An operator has disabled the account.
    AccountDisabled,
    /// Only administrators may do this.
    Forbidden,
    /// This way to sign in is not open to the caller, or not to anyone on this server.
    SignInRefused,
    /// The sign-in provider does not accept this server's ID or secret.
    SignInMisconfigured,
    /// A dependency of the server is unavailable; retry later.
    Unavailable,
    /// The server is out of disk space.
    StorageFull,
    /// An internal server error.
    Internal,
    /// A code from a newer server, which clients must tolerate.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Returns the code as in the API, such as `not_found`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::CrossSite => "cross_site",
            Self::WrongHost => "wrong_host",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotReady => "not_ready",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RegistrationClosed => "registration_closed",
            Self::InviteRequired => "invite_required",
            Self::InviteInvalid => "invite_invalid",
            Self::AccountDisabled => "account_disabled",
            Self::Forbidden => "forbidden",
            Self::SignInRefused => "sign_in_refused",
            Self::SignInMisconfigured => "sign_in_misconfigured",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
            Self::Internal => "internal",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
