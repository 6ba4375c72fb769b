//! What went wrong, for programs and for people.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One thing that went wrong with a request.
///
/// Everything in it is public; what only the operator may know stays in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct ApiError {
    /// For programs: stable, and never reworded.
    pub code: ErrorCode,
    /// For people: one sentence, free to be reworded.
    pub message: String,
    /// The form field at fault, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl ApiError {
    /// An error that is no single field's fault.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None }
    }

    /// The same error, blamed on a form field.
    #[must_use]
    pub fn with_field(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request cannot be read.
    Malformed,
    /// The request can be read and a value in it is not acceptable.
    Invalid,
    /// A session or a token is needed and missing, or the username and the password do not match.
    Unauthenticated,
    /// The request comes from a page of another site, which may not act in a visitor's name.
    CrossSite,
    /// The request names a host that the server does not answer to.
    WrongHost,
    /// There is no such thing, as far as the caller may know.
    NotFound,
    /// There is such a place, and nothing that could be done there with this method.
    MethodNotAllowed,
    /// It is not there yet and will be: ask again after `Retry-After` seconds.
    NotReady,
    /// It clashes with what is there: a username that is taken, a transition that the song's status does not allow.
    Conflict,
    /// It was there and is gone for good.
    Gone,
    /// More than a limit allows.
    TooLarge,
    /// The range begins past the end.
    RangeNotSatisfiable,
    /// The request did not come in in time.
    Timeout,
    /// A kind of file or encoding that is not supported.
    Unsupported,
    /// Too many requests; try later.
    RateLimited,
    /// As much is stored as the uploader may store; deleting something helps.
    QuotaExceeded,
    /// Nobody may register here.
    RegistrationClosed,
    /// Only those may register who have an invite.
    InviteRequired,
    /// The invite is unknown, used or expired.
    InviteInvalid,
    /// Something behind the server does not answer; try later.
    Unavailable,
    /// The server has no room left.
    StorageFull,
    /// The server's own fault.
    Internal,
    /// A code from a newer server: clients must survive those.
    #[serde(other)]
    Unknown,
}
