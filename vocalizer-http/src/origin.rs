//! Requests that pages of other sites make in a visitor's name.

use http::{HeaderMap, Method, header};
use url::Url;

/// Whether a request may act for whoever's cookie it carries.
///
/// Browsers say where a request comes from in `Sec-Fetch-Site`; older ones in `Origin` alone, which then has to name the
/// host that was asked. Programs say neither, carry nobody's cookies unasked, and may. Reading is open to all: what a page
/// of another site gets it cannot look into.
pub(crate) fn may_act(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        // `none` is the address bar. A neighbour under the same domain is another site's page as well.
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    let Some(host) = text(header::HOST) else { return false };
    Url::parse(origin).is_ok_and(|origin| {
        let default = if origin.scheme() == "https" { 443 } else { 80 };
        let asked = Url::parse(&format!("{}://{host}", origin.scheme()));
        asked.is_ok_and(|asked| {
            asked.host_str().is_some()
                && asked.host_str() == origin.host_str()
                && asked.port().unwrap_or(default) == origin.port().unwrap_or(default)
        })
    })
}
