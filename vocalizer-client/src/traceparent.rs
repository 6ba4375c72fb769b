//! The trace of requests.

use std::fmt;
use std::sync::Arc;

use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use vocalizer_api::trace::TraceContext;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Returns the trace for the next request.
#[derive(Clone, Default)]
pub(crate) struct Traceparent(Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>);

impl Traceparent {
    pub(crate) fn of(trace: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(trace)))
    }

    /// Adds the header, unless the value is invalid: servers would ignore it.
    pub(crate) fn add_to(&self, request: &mut Request) {
        let Some(value) = self.0.as_ref().and_then(|trace| trace()) else { return };
        match (value.parse::<TraceContext>(), HeaderValue::try_from(&value)) {
            (Ok(_), Ok(header)) => drop(request.headers_mut().insert(TRACEPARENT, header)),
            _ => tracing::debug!("the traceparent is invalid and not sent"),
        }
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traceparent").field(&self.0.is_some()).finish()
    }
}
