//! Error responses of the endpoint, parsed from errors of `object_store`.

use std::error::Error;
use std::iter;

use object_store::client::{HttpError, HttpErrorKind};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{BlobError, BoxError};

use super::http::BareRedirect;

/// A parsed error of `object_store`. Its own types are private, and each message repeats the one below it, so only the
/// text of the outermost error is useful.
pub(super) struct ParsedError {
    /// The HTTP status; `None` without a response.
    pub(super) status: Option<u16>,
    /// The code in the body, for example `NoSuchBucket`. Responses to `HEAD` have none.
    pub(super) code: Option<String>,
    /// Whether there was no complete response.
    pub(super) is_lost: bool,
    is_bare_redirect: bool,
    text: String,
}

impl ParsedError {
    pub(super) fn of(error: &object_store::Error) -> Self {
        let text = error.to_string();
        let status = after(&text, "status code: ").and_then(|text| text.get(..3)?.parse().ok());
        let code = between(&text, "<Code>", "</Code>").map(str::to_owned);
        let message = between(&text, "<Message>", "</Message>").unwrap_or_default();
        let lost: Option<&HttpError> = cause(error);
        let text = match (&lost, &code) {
            (Some(lost), _) => lost.source().map_or_else(|| lost.to_string(), chain),
            (None, Some(code)) => format!("{code}: {message}").trim_end_matches(": ").to_owned(),
            (None, None) => text,
        };
        let is_lost = lost.is_some_and(|lost| lost.kind() != HttpErrorKind::Decode);
        Self { status, code, is_lost, is_bare_redirect: cause::<BareRedirect>(error).is_some(), text }
    }

    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether the bucket is in another region.
    pub(super) fn is_of_another_region(&self) -> bool {
        self.is_bare_redirect
            || matches!(self.status, Some(301 | 307 | 308))
            || self.has_code(&["AuthorizationHeaderMalformed", "PermanentRedirect"])
    }

    /// Whether the storage is full. S3 never reports this, but self-hosted servers do.
    fn is_full(&self) -> bool {
        self.status == Some(507)
            || self.has_code(&["QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"])
    }
}

impl From<ParsedError> for BoxError {
    fn from(parsed: ParsedError) -> Self {
        parsed.text.into()
    }
}

/// Converts an error to the port's error.
pub(super) fn blob_error(error: &object_store::Error) -> BlobError {
    let parsed = ParsedError::of(error);
    if parsed.is_full() { BlobError::Full } else { BlobError::Unavailable(parsed.into()) }
}

/// Returns the cause of this type.
fn cause<T: Error + 'static>(error: &object_store::Error) -> Option<&T> {
    let first: &(dyn Error + 'static) = error;
    iter::successors(Some(first), |error| (**error).source()).find_map(|error| error.downcast_ref())
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, text)| text)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    after(text, start)?.split_once(end).map(|(text, _)| text)
}
