//! A request and its caller.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Method, Uri, header};
use vocalizer_core::account::{Client, SessionDigest, Viewer};
use vocalizer_core::api::ErrorCode;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AdminService, Caller, Proof};

use crate::body::RequestBody;
use crate::cookie;
use crate::failure::Failure;
use crate::fields::{Field, Input};
use crate::form::{Form, Query};
use crate::settings::HttpSettings;

/// The client's address, and whether it uses TLS. Forwarding headers count only from trusted proxies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) secure: bool,
    /// Whether the connection is from a trusted proxy.
    pub(crate) is_proxied: bool,
}

impl Peer {
    /// Behind trusted proxies, the client is the last address in `X-Forwarded-For` that is not a trusted proxy.
    pub(crate) fn of(connected: IpAddr, headers: &HeaderMap, settings: &HttpSettings) -> Self {
        let connected = connected.to_canonical();
        let trusted = |address: IpAddr| settings.trusted_proxies.iter().any(|net| net.contains(&address));
        let secure = settings.secure_cookies;
        if !trusted(connected) {
            return Self { address: connected, secure, is_proxied: false };
        }
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<_> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut address = connected;
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop_address(hop) else { break };
            address = hop.to_canonical();
            if !trusted(address) {
                break;
            }
        }
        let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let is_https = proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        Self { address, secure: secure || is_https, is_proxied: true }
    }
}

/// Parses an entry of `X-Forwarded-For`. Some proxies add the port, and brackets around IPv6 addresses.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()))
}

/// A routed request with its authenticated caller.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    pub(crate) peer: Peer,
    pub(crate) caller: Caller,
    /// What the caller may do as an administrator; only on routes for administrators.
    pub(crate) admin: Option<AdminService>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) input: Input,
    pub(crate) query: &'static [&'static Field],
}

impl Request {
    pub(crate) fn viewer(&self) -> Viewer {
        self.caller.viewer
    }

    /// Returns what the caller may do as an administrator.
    pub(crate) fn admin(&self) -> Result<AdminService, Failure> {
        self.admin.clone().ok_or_else(|| Failure::internal("the route is not for administrators"))
    }

    /// Returns the client whose share of the rendering capacity this request uses.
    pub(crate) fn client(&self) -> Client {
        Client::at(self.viewer(), self.peer.address)
    }

    /// Returns the session that a login replaces. A token is not replaced.
    pub(crate) fn session(&self) -> Option<SessionDigest> {
        self.caller.session.filter(|_| !self.caller.by_token)
    }

    /// Parses a path parameter. An invalid value is a 404.
    pub(crate) fn param<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        let text = self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        text.and_then(|text| text.parse().ok()).ok_or_else(Failure::not_found)
    }

    pub(crate) fn query(&self) -> Query {
        Query::parse(self.query, self.uri.query().unwrap_or_default())
    }

    /// Reads the body as a form.
    pub(crate) async fn form(self) -> Result<Form, Failure> {
        Form::read(self.input, &self.headers, self.body).await
    }
}

/// Returns the credentials of a request: its token, or else the user that a trusted proxy names, or else its session cookie.
pub(crate) fn proof(headers: &HeaderMap, peer: Peer, settings: &HttpSettings) -> Option<Proof> {
    if let Some(token) = token(headers, peer, settings) {
        return Some(Proof::Token(token));
    }
    named(headers, peer, settings).or_else(|| cookie::session(headers, peer.secure).map(Proof::Cookie))
}

/// Returns the user that a trusted proxy names.
fn named(headers: &HeaderMap, peer: Peer, settings: &HttpSettings) -> Option<Proof> {
    let header = settings.user_header.as_ref().filter(|_| peer.is_proxied)?;
    let values = headers.get_all(&header.name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    // Of several, one may be the client's. Together they are no valid name, so the request is refused.
    let username = values.collect::<Vec<_>>().join(", ").trim().to_owned();
    let (may_create, address) = (header.creates_users, peer.address);
    (!username.is_empty()).then_some(Proof::Named { username, may_create, address })
}

/// Checks the worker token.
pub(crate) fn check_worker(headers: &HeaderMap, settings: &HttpSettings) -> Result<(), Failure> {
    let shown = bearer(headers);
    // Compare with all tokens, so that the time does not reveal which one matched.
    let right = shown.is_some_and(|shown| {
        let shown = shown.expose().as_bytes();
        settings.worker_tokens.iter().fold(false, |right, token| right | token.matches(shown))
    });
    if right {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::Unauthenticated, "worker token required"))
}

/// Returns the token of a request. A proxy that names users forwards the password that it checked itself; that is none.
pub(crate) fn token(headers: &HeaderMap, peer: Peer, settings: &HttpSettings) -> Option<Secret<String>> {
    let is_for_proxy = settings.user_header.is_some() && peer.is_proxied;
    bearer(headers).filter(|token| !is_for_proxy || !token.expose().is_empty())
}

/// Returns the token from `Authorization: Bearer …`. Other schemes give an empty token, which never matches.
fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let value = headers.get(header::AUTHORIZATION)?;
    let text = value.to_str().unwrap_or_default();
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Some(Secret::new(token.map(|(_, token)| token.trim().to_owned()).unwrap_or_default()))
}
