//! The session cookie, the device cookie that marks devices with an earlier login, and the cookies of a sign-in by a provider and
//! of a share link.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use vocalizer_core::secret::Secret;

/// The name without TLS, where browsers reject the `__Host-` prefix.
const PLAIN: &str = "session";

/// The name behind TLS. The prefix makes browsers require `Secure`, the path `/` and this exact host, so that other
/// hosts of the same domain cannot set it.
const SECURE: &str = "__Host-session";

/// The names of the device cookie, without and with TLS.
const DEVICE_PLAIN: &str = "device";
const DEVICE_SECURE: &str = "__Host-device";

/// The names of the cookie that binds a sign-in by a provider to the browser, without and with TLS.
const SIGN_IN_PLAIN: &str = "sign_in";
const SIGN_IN_SECURE: &str = "__Host-sign_in";

/// The name of the cookie with the secret of a share link. Without `__Host-`, which would require the path `/`.
const SHARE: &str = "share";

/// Lifetime of the device cookie.
const DEVICE_LASTS: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Maximum length of a cookie value; longer ones are ignored.
const MAX_VALUE_BYTES: usize = 256;

/// Returns the session secret from the request's cookies. Behind TLS, only the cookie with the secure name counts.
///
/// If there are several, the first one counts; browsers send the one with the longest path first.
#[must_use]
pub fn session(headers: &HeaderMap, secure: bool) -> Option<Secret<String>> {
    read(headers, if secure { SECURE } else { PLAIN })
}

/// Returns the device secret from the request's cookies, by the same rules as [`session`].
#[must_use]
pub fn device(headers: &HeaderMap, secure: bool) -> Option<Secret<String>> {
    read(headers, if secure { DEVICE_SECURE } else { DEVICE_PLAIN })
}

/// Returns the secret of a share link from the request's cookies, by the same rules as [`session`].
#[must_use]
pub fn share(headers: &HeaderMap) -> Option<Secret<String>> {
    read(headers, SHARE)
}

/// Returns the secret of a sign-in by a provider from the request's cookies, by the same rules as [`session`].
#[must_use]
pub fn sign_in(headers: &HeaderMap, secure: bool) -> Option<Secret<String>> {
    read(headers, if secure { SIGN_IN_SECURE } else { SIGN_IN_PLAIN })
}

fn read(headers: &HeaderMap, wanted: &str) -> Option<Secret<String>> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
    let plain = !value.is_empty()
        && value.len() <= MAX_VALUE_BYTES
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| Secret::new(value.to_owned()))
}

/// Returns the `Set-Cookie` value that starts a session.
#[must_use]
pub fn set(secret: &Secret<String>, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    set_cookie(if secure { SECURE } else { PLAIN }, secret.expose(), lasts, secure)
}

/// Returns the `Set-Cookie` value that marks the device.
#[must_use]
pub fn set_device(device: &Secret<String>, secure: bool) -> Option<HeaderValue> {
    set_cookie(if secure { DEVICE_SECURE } else { DEVICE_PLAIN }, device.expose(), DEVICE_LASTS, secure)
}

/// Returns the `Set-Cookie` value that binds a sign-in by a provider to the browser.
#[must_use]
pub fn set_sign_in(secret: &Secret<String>, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    set_cookie(if secure { SIGN_IN_SECURE } else { SIGN_IN_PLAIN }, secret.expose(), lasts, secure)
}

/// Returns the `Set-Cookie` value that ends a sign-in by a provider.
#[must_use]
pub fn clear_sign_in(secure: bool) -> Option<HeaderValue> {
    set_sign_in(&Secret::default(), Duration::ZERO, secure)
}

/// Returns the `Set-Cookie` value that removes the session cookie. The device cookie stays.
#[must_use]
pub fn clear(secure: bool) -> Option<HeaderValue> {
    set_cookie(if secure { SECURE } else { PLAIN }, "", Duration::ZERO, secure)
}

fn set_cookie(name: &str, secret: &str, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    let mark = if secure { "; Secure" } else { "" };
    let max_age_s = lasts.as_secs();
    let text = format!("{name}={secret}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{mark}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(!secret.is_empty());
    Some(value)
}
