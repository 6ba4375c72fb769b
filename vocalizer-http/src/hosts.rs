//! Checks of the `Host` header.
//!
//! An attacker's site can make its own name resolve to this server's address (DNS rebinding). The browser then treats
//! both as one site, and only `Host` shows the difference.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, Uri, Version, header};
use vocalizer_core::api::ErrorCode;

use crate::failure::Failure;
use crate::settings::AllowedHosts;

/// Returns the host names of a request: from `Host`, and from the target if that is an absolute URL.
///
/// `Host` must occur once; only HTTP/1.0 may omit it.
pub(crate) fn named(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<Vec<Authority>, Failure> {
    let malformed = |message| Failure::new(ErrorCode::Malformed, message);
    let mut values = headers.get_all(header::HOST).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(malformed("the request has more than one Host header"));
    }
    let mut names: Vec<_> = uri.authority().cloned().into_iter().collect();
    match first {
        Some(value) => {
            let host = value.to_str().ok().and_then(|text| text.trim().parse::<Authority>().ok());
            let host = host.filter(|host| !host.host().is_empty() && !host.as_str().contains('@'));
            names.push(host.ok_or_else(|| malformed("the Host header is not a host name with an optional port"))?);
        }
        None if version == Version::HTTP_11 => return Err(malformed("the request has no Host header")),
        None => {}
    }
    Ok(names)
}

/// Rejects host names that are not allowed.
pub(crate) fn check(names: &[Authority], allowed: &AllowedHosts) -> Result<(), Failure> {
    if names.iter().all(|name| allows(allowed, name.host())) {
        return Ok(());
    }
    let message =
        "this server does not answer to the host name of the request; ALLOWED_HOSTS lists the names it answers to";
    Err(Failure::new(ErrorCode::WrongHost, message))
}

fn allows(allowed: &AllowedHosts, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match allowed {
        AllowedHosts::Any => true,
        AllowedHosts::Loopback => is_loopback(&host),
        AllowedHosts::Named(names) => is_loopback(&host) || names.iter().any(|name| matches(name, &host)),
    }
}

/// Matches a host against a name. A leading dot matches all subdomains.
fn matches(name: &str, host: &str) -> bool {
    match name.strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => host.eq_ignore_ascii_case(name),
    }
}

/// Browsers resolve `localhost` and its subdomains themselves, so no other site can own such a name.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_address = bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}
