use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use vocalizer_core::secret::Secret;
use vocalizer_http::cookie;

fn cookie_headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::COOKIE, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn session(values: &[&str], secure: bool) -> Option<String> {
    cookie::session(&cookie_headers(values), secure).map(Secret::into_exposed)
}

#[test]
fn cookies_have_security_attributes() {
    let secret = Secret::new("0a1b".to_owned());
    let plain = cookie::set(&secret, Duration::from_secs(60), false).unwrap();
    assert_eq!(plain, "session=0a1b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
    let secure = cookie::set(&secret, Duration::from_secs(60), true).unwrap();
    assert_eq!(secure, "__Host-session=0a1b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    assert!(secure.is_sensitive());
    let device = cookie::set_device(&secret, true).unwrap();
    assert_eq!(device, "__Host-device=0a1b; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(
        cookie::set_device(&secret, false).unwrap(),
        "device=0a1b; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
    );
    assert_eq!(cookie::clear(false).unwrap(), "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    let sign_in = cookie::set_sign_in(&secret, Duration::from_secs(600), true).unwrap();
    assert_eq!(sign_in, "__Host-sign_in=0a1b; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(cookie::clear_sign_in(false).unwrap(), "sign_in=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

#[test]
fn session_is_found_among_other_cookies() {
    assert_eq!(session(&["a=1; session=0a1b; b=2"], false).as_deref(), Some("0a1b"));
    assert_eq!(session(&["a=1", "session=0a1b"], false).as_deref(), Some("0a1b"));
    assert_eq!(session(&["xsession=1; session2=2; a=session=3"], false), None);
    assert_eq!(session(&[], false), None);
}

#[test]
fn plain_session_cookie_is_ignored_behind_tls() {
    assert_eq!(session(&["session=0a1b"], true), None);
    assert_eq!(session(&["session=0a1b; __Host-session=2c"], true).as_deref(), Some("2c"));
}

#[test]
fn invalid_session_values_are_ignored() {
    for value in ["session=", "session=a b", "session=\"0a1b\"", "session=..%2f", "session", ";;;=;", "session=ü"] {
        assert_eq!(session(&[value], false), None, "{value}");
    }
    assert_eq!(session(&[&format!("session={}", "a".repeat(257))], false), None);
}
