//! Sign-in by OpenID Connect.

use std::fmt;

use url::Url;
use vocalizer_client::oidc::{InvalidOidcSettings, OidcProvider, OidcSettings};
use vocalizer_core::account::Registration;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::ProviderSettings;

use super::args::OidcArgs;
use super::error::{ConfigError, invalid, text_or_file};
use super::policy::Policy;

/// The validated ways to sign in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Whether users sign in with a password.
    pub password: bool,
    /// The OpenID Connect provider.
    pub oidc: Option<Oidc>,
}

/// With a password only.
impl Default for SignIn {
    fn default() -> Self {
        Self { password: true, oidc: None }
    }
}

/// An OpenID Connect provider.
#[derive(Debug, Clone)]
pub struct Oidc {
    /// How the provider is asked.
    pub settings: OidcSettings,
    /// How it is used.
    pub usage: ProviderSettings,
}

const ISSUER: &str = "--oidc-issuer (OIDC_ISSUER)";

impl SignIn {
    pub(super) fn check(args: &OidcArgs, policy: &Policy) -> Result<Self, ConfigError> {
        let oidc = match &args.oidc_issuer {
            Some(issuer) => Some(Oidc::check(args, issuer.trim())?),
            None => None,
        };
        let is_used = args.oidc_client_id.is_some() || args.oidc_required_claim.is_some();
        if oidc.is_none() && (is_used || args.oidc_create || args.oidc_logout) {
            return Err(invalid(
                ISSUER,
                "required by the other settings for OpenID Connect; give the provider's issuer",
            ));
        }
        if args.oidc_create && policy.user_header.is_some() {
            return Err(invalid(
                "--oidc-create (OIDC_CREATE)",
                "off is required by TRUSTED_USER_HEADER: a user of the provider could take the name of another user first",
            ));
        }
        if !args.password_sign_in {
            const NAME: &str = "--password-sign-in (PASSWORD_SIGN_IN)";
            if oidc.is_none() && policy.user_header.is_none() {
                return Err(invalid(NAME, "off requires OIDC_ISSUER or TRUSTED_USER_HEADER: no user could sign in"));
            }
            if policy.registration != Registration::Closed {
                return Err(invalid(NAME, "off requires REGISTRATION=closed: users register with a password"));
            }
        }
        Ok(Self { password: args.password_sign_in, oidc })
    }
}

impl Oidc {
    fn check(args: &OidcArgs, issuer: &str) -> Result<Self, ConfigError> {
        const PUBLIC_URL: &str = "--public-url (PUBLIC_URL)";
        const CLIENT_ID: &str = "--oidc-client-id (OIDC_CLIENT_ID)";
        const SECRET: &str = "--oidc-client-secret (OIDC_CLIENT_SECRET, OIDC_CLIENT_SECRET_FILE)";
        const DOMAINS: &str = "--oidc-allowed-domains (OIDC_ALLOWED_DOMAINS)";
        const CLAIM: &str = "--oidc-required-claim (OIDC_REQUIRED_CLAIM)";
        const EXAMPLE: &str = "give the address of the page as users see it, as in https://songs.example.org";
        let public_url = args.public_url.as_deref().ok_or_else(|| invalid(PUBLIC_URL, EXAMPLE))?;
        let page = Url::parse(public_url.trim()).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
        let page = page.ok_or_else(|| invalid(PUBLIC_URL, EXAMPLE))?;
        let client_id = args.oidc_client_id.as_deref().unwrap_or_default().trim();
        let page = page.as_str().trim_end_matches('/');
        let mut settings = OidcSettings::new(issuer, client_id, &format!("{page}/auth/oidc/callback"));
        settings.logout_redirect_uri = args.oidc_logout.then(|| format!("{page}/"));
        settings.client_secret =
            text_or_file(SECRET, args.oidc_client_secret.as_deref(), args.oidc_client_secret_file.as_deref())?
                .map(Secret::new);
        settings.scopes = args.oidc_scopes.split_whitespace().map(str::to_owned).collect();
        settings.allowed_domains =
            args.oidc_allowed_domains.iter().map(|domain| domain.trim().to_ascii_lowercase()).collect();
        if settings.allowed_domains.iter().any(|domain| domain.is_empty() || domain.contains('@')) {
            return Err(invalid(DOMAINS, "give names of domains, as in example.org,example.net"));
        }
        settings.claim_rule = match &args.oidc_required_claim {
            Some(rule) => Some(rule.parse().map_err(|error: InvalidOidcSettings| invalid(CLAIM, error))?),
            None => None,
        };
        OidcProvider::new(settings.clone()).map_err(|error| match error {
            InvalidOidcSettings::RedirectUri => {
                invalid(PUBLIC_URL, "must begin with https://, or with http:// for this machine only")
            }
            InvalidOidcSettings::ClientId => invalid(CLIENT_ID, "required; the provider gives this server an ID"),
            error => invalid(ISSUER, error),
        })?;
        let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let name = args.oidc_name.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let usage = ProviderSettings { name: name.or(host).unwrap_or_default(), creates_users: args.oidc_create };
        Ok(Self { settings, usage })
    }
}

/// One setting per line.
impl fmt::Display for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "PASSWORD_SIGN_IN={}", self.password)?;
        let Some(Oidc { settings, usage }) = &self.oidc else { return writeln!(f, "OIDC_ISSUER=(none)") };
        writeln!(f, "OIDC_ISSUER={}", settings.issuer)?;
        writeln!(f, "OIDC_CLIENT_ID={}", settings.client_id)?;
        let secret = if settings.client_secret.is_some() { "(hidden)" } else { "(none: a public client)" };
        writeln!(f, "OIDC_CLIENT_SECRET={secret}")?;
        writeln!(f, "OIDC_SCOPES={}", settings.scopes.join(" "))?;
        writeln!(f, "OIDC_NAME={}", usage.name)?;
        writeln!(f, "OIDC_CREATE={}", usage.creates_users)?;
        writeln!(f, "OIDC_ALLOWED_DOMAINS={}", settings.allowed_domains.join(","))?;
        match &settings.claim_rule {
            None => writeln!(f, "OIDC_REQUIRED_CLAIM=(none)")?,
            Some(rule) => writeln!(f, "OIDC_REQUIRED_CLAIM={rule}")?,
        }
        writeln!(f, "OIDC_LOGOUT={}", settings.logout_redirect_uri.is_some())?;
        // To be registered at the provider.
        writeln!(f, "redirect URI: {}", settings.redirect_uri)?;
        match &settings.logout_redirect_uri {
            Some(address) => writeln!(f, "post-logout redirect URI: {address}"),
            None => Ok(()),
        }
    }
}
