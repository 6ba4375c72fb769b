//! Options for sign-in by OpenID Connect.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::policy::on_or_off;

/// Sign-in by OpenID Connect.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Accounts")]
pub struct OidcArgs {
    /// Address of the page as users see it, with its scheme; required for sign-in by OpenID Connect
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", hide_short_help = true)]
    pub public_url: Option<String>,
    /// Issuer of an OpenID Connect provider with which users may sign in; requires
    /// PUBLIC_URL, OIDC_CLIENT_ID and, at the provider, the redirect URI PUBLIC_URL/auth/oidc/callback
    #[arg(long, env = "OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// ID of this server at the provider
    #[arg(long, env = "OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Secret of this server at the provider
    #[arg(long, env = "OIDC_CLIENT_SECRET", value_name = "TEXT", hide_env_values = true, hide_short_help = true)]
    pub oidc_client_secret: Option<String>,
    /// File with the secret
    #[arg(
        long,
        env = "OIDC_CLIENT_SECRET_FILE",
        value_name = "FILE",
        conflicts_with = "oidc_client_secret",
        hide_short_help = true
    )]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Requested scopes, separated by spaces
    #[arg(
        long,
        env = "OIDC_SCOPES",
        value_name = "SCOPES",
        default_value = "openid profile email",
        hide_short_help = true
    )]
    pub oidc_scopes: String,
    /// Name of the provider for users, as in "Sign in with Example" [default: the issuer's host name]
    #[arg(long, env = "OIDC_NAME", value_name = "NAME", hide_short_help = true)]
    pub oidc_name: Option<String>,
    /// Register users of the provider at their first sign-in, instead of refusing them
    #[arg(long, env = "OIDC_CREATE", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, value_parser = on_or_off, hide_short_help = true)]
    pub oidc_create: bool,
    /// Admit only users with a verified e-mail address in one of these domains, as in example.org,example.net
    #[arg(long, env = "OIDC_ALLOWED_DOMAINS", value_name = "NAMES", value_delimiter = ',', hide_short_help = true)]
    pub oidc_allowed_domains: Vec<String>,
    /// Admit only users with this claim, as in groups=musicians
    #[arg(long, env = "OIDC_REQUIRED_CLAIM", value_name = "NAME=VALUE", hide_short_help = true)]
    pub oidc_required_claim: Option<String>,
    /// Sign users of the provider out there too when they sign out here; the provider must know PUBLIC_URL/ as an address
    /// after the logout
    #[arg(long, env = "OIDC_LOGOUT", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, value_parser = on_or_off, hide_short_help = true)]
    pub oidc_logout: bool,
    /// Let users sign in with a password; off requires OIDC_ISSUER or TRUSTED_USER_HEADER, and REGISTRATION=closed
    #[arg(long, env = "PASSWORD_SIGN_IN", value_name = "BOOL", num_args = 0..=1, default_value_t = true,
        default_missing_value = "true", action = ArgAction::Set, value_parser = on_or_off, hide_short_help = true)]
    pub password_sign_in: bool,
}

impl OidcArgs {
    /// Returns whether users reach the page with TLS.
    pub(in super::super) fn has_tls(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.trim().to_ascii_lowercase().starts_with("https://"))
    }
}
