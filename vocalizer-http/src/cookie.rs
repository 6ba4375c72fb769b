//! The session's cookie.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use vocalizer_core::secret::Secret;

/// The name where there is no TLS; browsers would not take the other one.
const PLAIN: &str = "session";

/// The name behind TLS. Its prefix makes browsers insist on `Secure`, on the path `/` and on this very host, so that no
/// neighbour under the same domain can set it.
const SECURE: &str = "__Host-session";

/// Longest value that is looked at.
const MAX_VALUE_BYTES: usize = 256;

/// The session that the request's cookies name. Behind TLS only the cookie with the secure name counts.
///
/// Of several cookies of that name the first counts, which is the one with the longer path where a browser sends two.
#[must_use]
pub fn session(headers: &HeaderMap, secure: bool) -> Option<Secret<String>> {
    let wanted = if secure { SECURE } else { PLAIN };
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
    let plain = !value.is_empty() && value.len() <= MAX_VALUE_BYTES && value.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| Secret::new(value.to_owned()))
}

/// The `Set-Cookie` that opens a session.
#[must_use]
pub fn set(secret: &Secret<String>, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    let mut value = value(secret.expose(), lasts.as_secs(), secure)?;
    value.set_sensitive(true);
    Some(value)
}

/// The `Set-Cookie` that ends one.
#[must_use]
pub fn clear(secure: bool) -> Option<HeaderValue> {
    value("", 0, secure)
}

fn value(secret: &str, max_age_s: u64, secure: bool) -> Option<HeaderValue> {
    let (name, mark) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let text = format!("{name}={secret}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{mark}");
    HeaderValue::try_from(text).ok()
}
