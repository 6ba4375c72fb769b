//! Ways to sign in.

use serde::{Deserialize, Serialize};

/// The `data` of a response about the ways to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignInData {
    /// The ways.
    pub sign_in: SignInView,
}

/// The ways to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SignInView {
    /// Whether users sign in with a password.
    pub password: bool,
    /// The OpenID Connect provider with which users sign in, at `/auth/oidc`; `null` if there is none.
    pub provider: Option<ProviderView>,
}

impl SignInView {
    /// Returns the ways of a server.
    #[must_use]
    pub const fn new(password: bool, provider: Option<ProviderView>) -> Self {
        Self { password, provider }
    }
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ProviderView {
    /// The name for users, as in "Sign in with Example".
    pub name: String,
    /// Whether users who sign out here also sign out there: after `POST /auth/logout`, the browser goes to `/auth/oidc/logout`.
    #[serde(default)]
    pub logout: bool,
}

impl ProviderView {
    /// Returns a provider with this name.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self { name, logout: false }
    }
}

/// The `data` of a response about the connection of an account with the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConnectionData {
    /// Whether the user can sign in with the provider.
    pub connected: bool,
}

/// The `data` of a response with the address at which a user continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderAddressData {
    /// The address of the provider, for the browser that sent the request.
    pub url: String,
}
