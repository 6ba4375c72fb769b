//! Protection against cross-site request forgery.

use http::{HeaderMap, Method, header};
use url::Url;

/// Returns whether a request may use its cookies.
///
/// Browsers send the source of a request in `Sec-Fetch-Site`, older ones only in `Origin`, which must then match
/// `Host`. Programs send neither and are allowed, since they do not attach cookies on their own. Safe methods are
/// always allowed: another site cannot read the response.
pub(crate) fn may_act(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        // `none` is a user action such as the address bar. `same-site` (another subdomain) is rejected too.
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
