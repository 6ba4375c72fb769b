//! The trace of a request.

use http::Request;
use tracing::Span;
use vocalizer_core::trace::{Kind, LoggedId, NewSpan, Sampling, TraceContext, Traced};

use crate::routes::Route;

/// Begins the span of a request: in its trace, or in a new one. The path must have no secrets; `is_https` says how the client
/// reached the server, or the proxy before it.
pub(crate) fn begin<B>(
    sampling: Sampling,
    request: &Request<B>,
    route: Option<&Route>,
    path: &str,
    is_https: bool,
    make: impl FnOnce(LoggedId) -> Span,
) -> Traced {
    let parent = parent(request);
    let scheme = if is_https { "https" } else { "http" };
    let mut attributes = vec![("url.path", path.to_owned()), ("url.scheme", scheme.to_owned())];
    attributes.extend(route.map(|route| ("http.route", route.path.to_owned())));
    let name = match route {
        Some(route) => format!("{} {}", request.method(), route.path),
        // A path or a method that does not exist must not become a name.
        None => "HTTP".to_owned(),
    };
    let context = sampling.context(parent);
    Traced::of(NewSpan { context, parent, kind: Kind::Server, name: Some(name), began: None, attributes }, make)
}

/// Reads the header. Several are as good as an invalid one.
fn parent<B>(request: &Request<B>) -> Option<TraceContext> {
    let mut headers = request.headers().get_all("traceparent").iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    header.to_str().ok()?.parse().ok()
}
