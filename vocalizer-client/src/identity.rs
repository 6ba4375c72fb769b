//! Who a client acts as: the owner of an API token, or a session with its cookies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderValue, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use vocalizer_api::secret::Secret;

use crate::Error;

/// Limits of the cookies that a server may set. Vocalizer sets two.
const MAX_COOKIES: usize = 16;
const MAX_COOKIE_BYTES: usize = 4096;

/// Who a client acts as. Clones share the session.
#[derive(Clone)]
pub(crate) enum Identity {
    Token(HeaderValue),
    Session(Arc<Mutex<Cookies>>),
}

/// The cookies of a session by name. A client has one server, so domains and paths do not matter.
#[derive(Default)]
pub(crate) struct Cookies(BTreeMap<String, Secret<String>>);

impl Identity {
    pub(crate) fn session() -> Self {
        Self::Session(Arc::default())
    }

    pub(crate) fn token(token: &Secret<String>) -> Result<Self, Error> {
        // The library's error does not mention tokens.
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose().trim()))
            .map_err(|_| Error::Setup("the token contains invalid characters".into()))?;
        value.set_sensitive(true);
        Ok(Self::Token(value))
    }

    /// Adds the credentials to a request.
    pub(crate) fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Token(token) => request.header(AUTHORIZATION, token),
            Self::Session(cookies) => match lock(cookies).header() {
                Some(cookies) => request.header(COOKIE, cookies),
                None => request,
            },
        }
    }

    /// Keeps the cookies of a response.
    pub(crate) fn keep(&self, response: &Response) {
        let Self::Session(cookies) = self else { return };
        let is_encrypted = response.url().scheme() == "https";
        for cookie in response.headers().get_all(SET_COOKIE) {
            if let Ok(cookie) = cookie.to_str() {
                lock(cookies).set(cookie, is_encrypted);
            }
        }
    }
}

impl Cookies {
    /// Processes a `Set-Cookie` header. `Max-Age` matters only if it removes the cookie: the server checks the age itself.
    fn set(&mut self, cookie: &str, is_encrypted: bool) {
        let mut parts = cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let mut is_removed = false;
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            if key.eq_ignore_ascii_case("secure") && !is_encrypted {
                return;
            }
            is_removed |= key.eq_ignore_ascii_case("max-age") && value.parse::<i64>().is_ok_and(|age_s| age_s <= 0);
        }
        if is_removed {
            self.0.remove(name);
        } else if cookie.len() <= MAX_COOKIE_BYTES && (self.0.contains_key(name) || self.0.len() < MAX_COOKIES) {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    fn header(&self) -> Option<HeaderValue> {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
        let mut value = HeaderValue::try_from(pairs.join("; ")).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn lock(cookies: &Mutex<Cookies>) -> std::sync::MutexGuard<'_, Cookies> {
    cookies.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_removed() {
        let mut cookies = Cookies::default();
        cookies.set("session=a1; HttpOnly; Path=/; Max-Age=3600", false);
        cookies.set("device=d; Path=/auth", false);
        assert_eq!(cookies.header().unwrap(), "device=d; session=a1");
        cookies.set("session=a2=; SameSite=Lax", false);
        assert_eq!(cookies.header().unwrap(), "device=d; session=a2=");
        cookies.set("session=; Path=/; max-age=0", false);
        cookies.set("other=secret; Secure", false);
        cookies.set("garbage", false);
        assert_eq!(cookies.header().unwrap(), "device=d");
        cookies.set("device=; Max-Age=-1", false);
        assert!(cookies.header().is_none());
        cookies.set("__Host-session=s; Secure", true);
        assert_eq!(cookies.header().unwrap(), "__Host-session=s");
    }

    #[test]
    fn number_and_size_of_cookies_are_limited() {
        let mut cookies = Cookies::default();
        (0..1000).for_each(|index| cookies.set(&format!("c{index}=x"), false));
        cookies.set(&format!("c0={}", "x".repeat(MAX_COOKIE_BYTES)), false);
        assert_eq!(cookies.0.len(), MAX_COOKIES);
        assert_eq!(cookies.0["c0"].expose(), "x");
    }
}
