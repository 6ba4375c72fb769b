//! The session's cookie, and the one by which a device is known that has logged in before.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use vocalizer_core::secret::Secret;

/// The name where there is no TLS; browsers would not take the other one.
const PLAIN: &str = "session";

/// The name behind TLS. Its prefix makes browsers insist on `Secure`, on the path `/` and on this very host, so that no
/// neighbour under the same domain can set it.
const SECURE: &str = "__Host-session";

/// The same two for a device that has logged in before.
const DEVICE_PLAIN: &str = "device";
const DEVICE_SECURE: &str = "__Host-device";

/// How long a device is known.
const DEVICE_LASTS: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Longest value that is looked at.
const MAX_VALUE_BYTES: usize = 256;

/// The session that the request's cookies name. Behind TLS only the cookie with the secure name counts.
///
/// Of several cookies of that name the first counts, which is the one with the longer path where a browser sends two.
#[must_use]
pub fn session(headers: &HeaderMap, secure: bool) -> Option<Secret<String>> {
    read(headers, if secure { SECURE } else { PLAIN })
}

/// What the request's cookies show of an earlier login on the same device, by the rules of [`session`].
#[must_use]
pub fn device(headers: &HeaderMap, secure: bool) -> Option<Secret<String>> {
    read(headers, if secure { DEVICE_SECURE } else { DEVICE_PLAIN })
}

fn read(headers: &HeaderMap, wanted: &str) -> Option<Secret<String>> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
    let plain = !value.is_empty() && value.len() <= MAX_VALUE_BYTES && value.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| Secret::new(value.to_owned()))
}

/// The `Set-Cookie` that opens a session.
#[must_use]
pub fn set(secret: &Secret<String>, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    written(if secure { SECURE } else { PLAIN }, secret.expose(), lasts, secure)
}

/// The `Set-Cookie` by which a device is known from now on.
#[must_use]
pub fn set_device(device: &Secret<String>, secure: bool) -> Option<HeaderValue> {
    written(if secure { DEVICE_SECURE } else { DEVICE_PLAIN }, device.expose(), DEVICE_LASTS, secure)
}

/// The `Set-Cookie` that ends a session. The device stays known.
#[must_use]
pub fn clear(secure: bool) -> Option<HeaderValue> {
    written(if secure { SECURE } else { PLAIN }, "", Duration::ZERO, secure)
}

fn written(name: &str, secret: &str, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    let mark = if secure { "; Secure" } else { "" };
    let max_age_s = lasts.as_secs();
    let text = format!("{name}={secret}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{mark}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(!secret.is_empty());
    Some(value)
}
