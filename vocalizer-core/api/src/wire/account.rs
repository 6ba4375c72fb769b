//! Users and API tokens as JSON.

use serde::{Deserialize, Serialize};

use crate::id::{TokenId, UserId};

/// The caller's own user account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UserView {
    /// The user's ID; the `uploader_id` of their songs.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: UserId,
    /// The name to log in with.
    pub username: String,
    /// Whether this session may administer the server. Present only if it may, so that clients of the original system get the
    /// object they expect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub administrator: bool,
}

impl UserView {
    /// Returns a user who is no administrator.
    #[must_use]
    pub const fn new(id: UserId, username: String) -> Self {
        Self { id, username, administrator: false }
    }
}

/// The `data` of a response about the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["user"])))]
pub struct UserData {
    /// The user; `null`, never missing, without a session.
    pub user: Option<UserView>,
}

/// An API token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "name", "created_at", "expires_at"]))
)]
#[non_exhaustive]
pub struct TokenView {
    /// The ID, used to revoke the token.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: TokenId,
    /// The name its owner chose.
    pub name: String,
    /// When it was created (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub created_at: String,
    /// When it expires (RFC 3339); `null`, never missing, if it does not.
    pub expires_at: Option<String>,
}

impl TokenView {
    /// Returns a token.
    #[must_use]
    pub const fn new(id: TokenId, name: String, created_at: String, expires_at: Option<String>) -> Self {
        Self { id, name, created_at, expires_at }
    }
}

/// The `data` of a response that lists API tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokensData {
    /// The caller's tokens, newest first.
    pub tokens: Vec<TokenView>,
}

/// The `data` of a response about a new API token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewTokenData {
    /// The token.
    pub token: TokenView,
    /// The secret for `Authorization: Bearer …`. It is shown only once.
    pub secret: String,
}

/// Hides the secret.
impl std::fmt::Debug for NewTokenData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTokenData").field("token", &self.token).finish_non_exhaustive()
    }
}
