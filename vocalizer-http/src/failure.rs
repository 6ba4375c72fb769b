//! Conversion of errors into error responses.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use vocalizer_core::api::{ApiError, ErrorCode};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::BackendError;
use vocalizer_core::service::{ServiceError, whole_seconds};

use crate::answer;

/// `Retry-After` of a busy server.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error response: the public errors, and private details for the log.
#[derive(Debug)]
pub(crate) struct Failure {
    errors: Vec<ApiError>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    /// Details for the log only.
    pub(crate) private: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(code, message)], retry_after: None, allow: None, private: None }
    }

    pub(crate) fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::about(field, ErrorCode::Invalid, message)
    }

    fn about(field: &'static str, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(code, message).with_field(field)], ..Self::new(code, "") }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "no resource at this path")
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(ErrorCode::CrossSite, "cross-site request refused")
    }

    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let message = format!("method not allowed; use {allow}");
        Self { allow: Some(allow), ..Self::new(ErrorCode::MethodNotAllowed, message) }
    }

    /// 503 with `Retry-After`: a limit on concurrent work is reached.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self { retry_after: Some(BUSY_RETRY_AFTER), ..Self::new(ErrorCode::Unavailable, message) }
    }

    pub(crate) fn with_private(self, private: impl Into<String>) -> Self {
        Self { private: Some(private.into()), ..self }
    }

    /// 500. `private` is only logged.
    pub(crate) fn internal(private: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, "internal server error").with_private(private.to_string())
    }

    /// Returns the code of the first error.
    pub(crate) fn code(&self) -> ErrorCode {
        self.errors.first().map_or(ErrorCode::Internal, |error| error.code)
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = answer::failure(self.errors);
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            // Rounded up, so that clients do not return too early.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        use ErrorCode as Code;

        let message = error.to_string();
        match error {
            // The error of the request body: a timeout or a broken connection.
            ServiceError::Interrupted(source) => match source.downcast::<Self>() {
                Ok(failure) => *failure,
                Err(source) => Self::new(Code::Malformed, message).with_private(chain(source.as_ref())),
            },
            ServiceError::NotFound { .. } => Self::new(Code::NotFound, message),
            ServiceError::Gone => Self::new(Code::Gone, message),
            ServiceError::Invalid(invalid) => {
                let one = |invalid: vocalizer_core::service::Invalid| {
                    ApiError::new(Code::Invalid, invalid.message).with_field(invalid.field)
                };
                let errors = invalid.into_iter().map(one).collect();
                Self { errors, retry_after: None, allow: None, private: None }
            }
            ServiceError::TooLarge { .. } => Self::new(Code::TooLarge, message),
            ServiceError::NotASong { .. } => Self::field("file", message),
            ServiceError::NotReady { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::NotReady, message) }
            }
            ServiceError::NotSplit { .. } => Self::new(Code::Conflict, message),
            ServiceError::Conflict { field: None, .. } => Self::new(Code::Conflict, message),
            ServiceError::Conflict { field: Some(field), .. } => Self::about(field, Code::Conflict, message),
            ServiceError::Duplicate { song } => Self {
                errors: vec![ApiError::new(Code::Duplicate, message).with_song(song)],
                ..Self::new(Code::Duplicate, "")
            },
            ServiceError::Unauthenticated { .. } => Self::new(Code::Unauthenticated, message),
            ServiceError::Throttled { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::RateLimited, message) }
            }
            ServiceError::Busy { retry_after, .. } => Self { retry_after: Some(retry_after), ..Self::busy(message) },
            ServiceError::Exceeded(exceeded) => match exceeded.retry_after() {
                Some(wait) => Self { retry_after: Some(wait), ..Self::new(Code::RateLimited, message) },
                None => Self::new(Code::QuotaExceeded, message),
            },
            ServiceError::RegistrationClosed => Self::new(Code::RegistrationClosed, message),
            ServiceError::InviteRequired => Self::about("invite", Code::InviteRequired, message),
            ServiceError::InviteInvalid => Self::about("invite", Code::InviteInvalid, message),
            ServiceError::Forbidden => Self::new(Code::Forbidden, message),
            ServiceError::Disabled => Self::new(Code::AccountDisabled, message),
            ServiceError::SignInRefused { .. } => Self::new(Code::SignInRefused, message),
            ServiceError::ProviderUnavailable(source) => Self::busy(message).with_private(chain(source.as_ref())),
            ServiceError::RefusedByProvider(source) => {
                Self::new(Code::SignInMisconfigured, message).with_private(chain(source.as_ref()))
            }
            ServiceError::Full => Self::new(Code::StorageFull, message),
            ServiceError::Unavailable(source) => Self::busy(message).with_private(chain(source.as_ref())),
            ServiceError::Internal(source) => Self::internal(chain(source.as_ref())),
            other => Self::internal(chain(&other)),
        }
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Unavailable(source) => match source.downcast::<ServiceError>() {
                Ok(error) => (*error).into(),
                Err(source) => ServiceError::Unavailable(source).into(),
            },
            BackendError::Refused { why } => Self::new(ErrorCode::Conflict, why),
            other => Self::internal(chain(&other)),
        }
    }
}

/// Needed because a failure can be the error of a stream.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.errors.first().map_or("", |error| &error.message))
    }
}

impl std::error::Error for Failure {}
