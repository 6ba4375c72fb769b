//! From what went wrong to what is said about it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use vocalizer_core::api::{ApiError, ErrorCode};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::BackendError;
use vocalizer_core::service::{ServiceError, whole_seconds};

use crate::answer;

/// When to ask again a server that has too much to do.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// An answer that is an error: what the caller hears, and beside it what only the log may know.
#[derive(Debug)]
pub(crate) struct Failure {
    errors: Vec<ApiError>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    /// What happened, for the log.
    pub(crate) private: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(code, message)], retry_after: None, allow: None, private: None }
    }

    pub(crate) fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::about(field, ErrorCode::Invalid, message)
    }

    /// Something about a field.
    fn about(field: &'static str, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![ApiError::new(code, message).with_field(field)], ..Self::new(code, "") }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "there is nothing at this address")
    }

    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let message = format!("this address does not take the method; it takes {allow}");
        Self { allow: Some(allow), ..Self::new(ErrorCode::MethodNotAllowed, message) }
    }

    /// Too much is under way at the moment.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self { retry_after: Some(BUSY_RETRY_AFTER), ..Self::new(ErrorCode::Unavailable, message) }
    }

    pub(crate) fn with_private(self, private: impl Into<String>) -> Self {
        Self { private: Some(private.into()), ..self }
    }

    /// The server's own fault.
    pub(crate) fn internal(private: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, "something went wrong in the server").with_private(private.to_string())
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = answer::failure(self.errors);
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            // Rounded up: whoever comes a moment too early is sent away again.
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

        let said = error.to_string();
        match error {
            // What the reader of the body had to say: it timed out, or the connection broke.
            ServiceError::Interrupted(source) => match source.downcast::<Self>() {
                Ok(failure) => *failure,
                Err(source) => Self::new(Code::Malformed, said).with_private(chain(source.as_ref())),
            },
            ServiceError::NotFound { .. } => Self::new(Code::NotFound, said),
            ServiceError::Gone => Self::new(Code::Gone, said),
            ServiceError::Invalid(invalid) => {
                let one = |invalid: vocalizer_core::service::Invalid| {
                    ApiError::new(Code::Invalid, invalid.message).with_field(invalid.field)
                };
                let errors = invalid.into_iter().map(one).collect();
                Self { errors, retry_after: None, allow: None, private: None }
            }
            ServiceError::TooLarge { .. } => Self::new(Code::TooLarge, said),
            ServiceError::NotASong { .. } => Self::field("file", said),
            ServiceError::NotReady { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::NotReady, said) }
            }
            ServiceError::NotSplit { .. } => Self::new(Code::Conflict, said),
            ServiceError::Conflict { field: None, .. } => Self::new(Code::Conflict, said),
            ServiceError::Conflict { field: Some(field), .. } => Self::about(field, Code::Conflict, said),
            ServiceError::Unauthenticated { .. } => Self::new(Code::Unauthenticated, said),
            ServiceError::Throttled { retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::new(Code::RateLimited, said) }
            }
            ServiceError::Busy { retry_after, .. } => Self { retry_after: Some(retry_after), ..Self::busy(said) },
            ServiceError::Exceeded(exceeded) => match exceeded.retry_after() {
                Some(wait) => Self { retry_after: Some(wait), ..Self::new(Code::RateLimited, said) },
                None => Self::new(Code::QuotaExceeded, said),
            },
            ServiceError::RegistrationClosed => Self::new(Code::RegistrationClosed, said),
            ServiceError::InviteRequired => Self::about("invite", Code::InviteRequired, said),
            ServiceError::InviteInvalid => Self::about("invite", Code::InviteInvalid, said),
            ServiceError::Full => Self::new(Code::StorageFull, said),
            ServiceError::Unavailable(source) => Self::busy(said).with_private(chain(source.as_ref())),
            ServiceError::Internal(source) => Self::internal(chain(source.as_ref())),
            other => Self::internal(chain(&other)),
        }
    }
}

/// What the service says as a worker's backend.
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

/// So that a failure can travel as the error of a stream.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.errors.first().map_or("", |error| &error.message))
    }
}

impl std::error::Error for Failure {}
