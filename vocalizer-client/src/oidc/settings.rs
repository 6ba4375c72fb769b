//! Settings of a provider.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use url::{Host, Url};
use vocalizer_api::secret::Secret;

/// A setting that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidOidcSettings {
    /// The issuer.
    #[error(
        "the issuer must be an address as in https://id.example.org/realms/songs, without query; http only for this machine"
    )]
    Issuer,
    /// The redirect URI.
    #[error(
        "the redirect URI must be an address as in https://songs.example.org/auth/oidc/callback; http only for this machine"
    )]
    RedirectUri,
    /// The ID of this server at the provider.
    #[error("the client ID is empty")]
    ClientId,
    /// A rule for a claim.
    #[error("a rule for a claim must be NAME=VALUE, as in groups=musicians")]
    ClaimRule,
}

/// A claim that users must have: its value, or one of its values, must be this one.
///
/// ```
/// use vocalizer_client::oidc::ClaimRule;
///
/// assert!("groups=musicians".parse::<ClaimRule>().is_ok());
/// assert!("musicians".parse::<ClaimRule>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRule {
    pub(super) name: String,
    pub(super) value: String,
}

impl fmt::Display for ClaimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl FromStr for ClaimRule {
    type Err = InvalidOidcSettings;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or(InvalidOidcSettings::ClaimRule)?;
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        if name.is_empty() || value.is_empty() {
            return Err(InvalidOidcSettings::ClaimRule);
        }
        Ok(Self { name, value })
    }
}

/// How a server uses a provider.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OidcSettings {
    /// The issuer, exactly as the provider writes it.
    pub issuer: String,
    /// The ID of this server at the provider.
    pub client_id: String,
    /// The secret of this server at the provider; `None` for a public client.
    pub client_secret: Option<Secret<String>>,
    /// Where the provider sends browsers back to: the server's public address and `/auth/oidc/callback`, exactly as the provider
    /// knows it.
    pub redirect_uri: String,
    /// The requested scopes; `openid` is always one. Default: `profile` and `email`.
    pub scopes: Vec<String>,
    /// If not empty, only users with a verified e-mail address in one of these domains are admitted.
    pub allowed_domains: Vec<String>,
    /// If set, only users with this claim are admitted.
    pub claim_rule: Option<ClaimRule>,
    /// If set, users who sign out here also sign out at the provider, which then sends browsers to this address, exactly as the
    /// provider knows it.
    pub logout_redirect_uri: Option<String>,
    /// A token with an unknown key makes the provider's keys be fetched again, at most once in this time. Default: 60 s.
    pub key_interval: Duration,
}

impl OidcSettings {
    /// Returns settings with defaults.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str, redirect_uri: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            redirect_uri: redirect_uri.to_owned(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            allowed_domains: Vec::new(),
            claim_rule: None,
            logout_redirect_uri: None,
            key_interval: Duration::from_secs(60),
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidOidcSettings> {
        let parsed = |url: &str| Url::parse(url).ok().filter(|url| is_protected(url) && url.fragment().is_none());
        if parsed(&self.issuer).is_none_or(|url| url.query().is_some()) {
            return Err(InvalidOidcSettings::Issuer);
        }
        if parsed(&self.redirect_uri).is_none() {
            return Err(InvalidOidcSettings::RedirectUri);
        }
        if self.client_id.is_empty() {
            return Err(InvalidOidcSettings::ClientId);
        }
        Ok(())
    }
}

/// Returns whether others on the network cannot read what goes to an address: it has TLS, or is on this machine.
pub(super) fn is_protected(url: &Url) -> bool {
    let has_password = !url.username().is_empty() || url.password().is_some();
    match (url.scheme(), url.host()) {
        _ if has_password => false,
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}
