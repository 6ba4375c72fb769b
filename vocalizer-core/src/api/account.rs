//! Users and API tokens on the wire.

use serde::{Deserialize, Serialize};

use super::times::text;
use crate::account::{ApiToken, TokenId, UserId};

/// A user as they see themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserView {
    /// Which user; the `uploader_id` of their songs.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: UserId,
    /// The name they log in with.
    pub username: String,
}

/// The `data` of an answer about the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["user"])))]
pub struct UserData {
    /// The user; `null`, never missing, for somebody without a session.
    pub user: Option<UserView>,
}

/// An API token as its owner sees it: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "name", "created_at", "expires_at"]))
)]
pub struct TokenView {
    /// Which token: what to revoke it by.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made, by RFC 3339.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub created_at: String,
    /// When it ends, by RFC 3339; `null`, never missing, for one that does not.
    pub expires_at: Option<String>,
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> Self {
        let ApiToken { id, name, created_at, expires_at } = token;
        Self { id, name, created_at: text(created_at), expires_at: expires_at.map(text) }
    }
}

/// The `data` of an answer that lists API tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokensData {
    /// The caller's tokens, newest first.
    pub tokens: Vec<TokenView>,
}

/// The `data` of an answer about a token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewTokenData {
    /// The token.
    pub token: TokenView,
    /// Its secret, for `Authorization: Bearer …`. It is shown this once.
    pub secret: String,
}

/// Hides the secret.
impl std::fmt::Debug for NewTokenData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTokenData").field("token", &self.token).finish_non_exhaustive()
    }
}
