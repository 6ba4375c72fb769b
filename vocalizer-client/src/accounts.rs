//! Users, their sessions and their tokens.

use reqwest::Method;
use serde::Serialize;
use serde::de::IgnoredAny;
use vocalizer_core::account::TokenId;
use vocalizer_core::api::{NewTokenData, TokenView, TokensData, UserData, UserView};
use vocalizer_core::secret::Secret;

use crate::{Client, Error};

/// An API token that was just made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewToken {
    /// What its owner sees of it from now on.
    pub token: TokenView,
    /// The token itself, for [`ClientBuilder::with_token`](crate::ClientBuilder::with_token). The server shows it this
    /// once.
    pub secret: Secret<String>,
}

#[derive(Serialize)]
struct NewTokenForm<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_days: Option<u32>,
}

impl Client {
    /// Registers a user and logs in.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the name is taken, or the server does not accept the name or the password; with
    /// [`ErrorCode::RegistrationClosed`](crate::ErrorCode::RegistrationClosed) or
    /// [`ErrorCode::InviteRequired`](crate::ErrorCode::InviteRequired) where not everybody may register.
    pub async fn register(&self, username: &str, password: &Secret<String>) -> Result<(), Error> {
        let fields = [("username", username), ("password1", password.expose()), ("password2", password.expose())];
        self.post("auth/register", &fields).await
    }

    /// Registers a user with an invite of the server's operator, and logs in.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::InviteInvalid`](crate::ErrorCode::InviteInvalid) for an invite that is not good,
    /// and as in [`Client::register`].
    pub async fn register_with_invite(
        &self,
        username: &str,
        password: &Secret<String>,
        invite: &Secret<String>,
    ) -> Result<(), Error> {
        let (password, invite) = (password.expose().as_str(), invite.expose().as_str());
        let fields = [("username", username), ("password1", password), ("password2", password), ("invite", invite)];
        self.post("auth/register", &fields).await
    }

    /// Logs in. What is uploaded from now on is this user's alone.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the name and the password do not match.
    pub async fn login(&self, username: &str, password: &Secret<String>) -> Result<(), Error> {
        self.post("auth/login", &[("username", username), ("password", password.expose())]).await
    }

    /// Ends the session. A token goes on; see [`Client::revoke_token`].
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn logout(&self) -> Result<(), Error> {
        self.post("auth/logout", &[]).await
    }

    /// Ends every session of the user, this one too, and revokes every token.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when nobody is logged in by password.
    pub async fn logout_everywhere(&self) -> Result<(), Error> {
        self.post("auth/logout_everywhere", &[]).await
    }

    /// Who is logged in, by session or token; `None` for nobody.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn me(&self) -> Result<Option<UserView>, Error> {
        self.read::<UserData>("auth/me").await.map(|data| data.user)
    }

    /// Changes the user's password. Every other session ends, and every token is revoked.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when nobody is logged in, the old password is not right or the new one is not accepted.
    pub async fn change_password(&self, old: &Secret<String>, new: &Secret<String>) -> Result<(), Error> {
        let fields = [("old_password", old.expose()), ("password1", new.expose()), ("password2", new.expose())];
        self.post("auth/password", &fields.map(|(name, value)| (name, value.as_str()))).await
    }

    /// Makes an API token, which acts as the user without a session: for ever, or for so many days.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when nobody is logged in, or the server does not accept the name or the days.
    pub async fn create_token(&self, name: &str, expires_in_days: Option<u32>) -> Result<NewToken, Error> {
        let form = NewTokenForm { name, expires_in_days };
        let made: NewTokenData = self.send(Method::POST, "auth/tokens", &form).await?;
        Ok(NewToken { token: made.token, secret: made.secret.into() })
    }

    /// The user's API tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when nobody is logged in.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        self.read::<TokensData>("auth/tokens").await.map(|data| data.tokens)
    }

    /// Ends an API token.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) when the user has no such token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("auth/tokens/{id}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<(), Error> {
        let request = self.request(Method::POST, path)?.form(fields);
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}
