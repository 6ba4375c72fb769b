//! Users, sessions and API tokens.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::IgnoredAny;
use vocalizer_api::id::TokenId;
use vocalizer_api::secret::Secret;
use vocalizer_api::{ConnectionData, NewTokenData, SignInData, SignInView, TokenView, TokensData, UserData, UserView};

use crate::{Client, Error};

/// A new API token.
///
/// ```no_run
/// # use vocalizer_client::{Client, Error, NewToken};
/// # async fn demo(client: &Client) -> Result<(), Error> {
/// let NewToken { token, secret, .. } = client.create_token("backup", Some(90)).await?;
/// println!("the token {} expires at {:?}", token.id, token.expires_at);
/// let songs = client.with_token(secret)?.songs().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewToken {
    /// The token's metadata.
    pub token: TokenView,
    /// The token itself, for [`ClientBuilder::with_token`](crate::ClientBuilder::with_token). The server returns it
    /// only once.
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
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// match client.register("ada", &password).await {
    ///     Err(error) if error.has_code(ErrorCode::Conflict) => println!("choose another name"),
    ///     Err(error) if error.has_code(ErrorCode::InviteRequired) => println!("ask the operator for an invite"),
    ///     result => result?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the name is taken, or if the server rejects the name or the password; with
    /// [`ErrorCode::RegistrationClosed`](crate::ErrorCode::RegistrationClosed) or
    /// [`ErrorCode::InviteRequired`](crate::ErrorCode::InviteRequired) if registration is restricted.
    pub async fn register(&self, username: &str, password: &Secret<String>) -> Result<(), Error> {
        let fields = [("username", username), ("password1", password.expose()), ("password2", password.expose())];
        self.post("auth/register", &fields).await
    }

    /// Registers a user with an invite from the server's operator, and logs in.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let (password, invite) = ("correct horse".to_owned(), "an invite".to_owned());
    /// let (password, invite) = (Secret::new(password), Secret::new(invite));
    /// match client.register_with_invite("ada", &password, &invite).await {
    ///     Err(error) if error.has_code(ErrorCode::InviteInvalid) => println!("the invite was used or has expired"),
    ///     result => result?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::InviteInvalid`](crate::ErrorCode::InviteInvalid) if the invite is not valid,
    /// and those of [`Client::register`].
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

    /// Returns the ways to sign in: with a password, and with an OpenID Connect provider, which needs a browser. A program of a
    /// user who signs in there uses a [token](Self::create_token).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// let ways = client.sign_in_options().await?;
    /// if let (false, Some(provider)) = (ways.password, ways.provider) {
    ///     println!("sign in with {} on the page, and create a token there", provider.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn sign_in_options(&self) -> Result<SignInView, Error> {
        self.read::<SignInData>("auth/options").await.map(|data| data.sign_in)
    }

    /// Returns whether a user at the server's OpenID Connect provider is connected to the account, so that the account's user can
    /// sign in there. The connection is made on the page.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// match client.is_connected().await {
    ///     Err(error) if error.has_code(ErrorCode::NotFound) => println!("the server has no provider"),
    ///     connected => println!("connected: {}", connected?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the server has no provider, and with
    /// [`ErrorCode::Unauthenticated`](crate::ErrorCode::Unauthenticated) without a session.
    pub async fn is_connected(&self) -> Result<bool, Error> {
        self.read::<ConnectionData>("auth/oidc/link").await.map(|data| data.connected)
    }

    /// Disconnects the account from the server's OpenID Connect provider: its user signs in with the password only.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// match client.disconnect().await {
    ///     Err(error) if error.has_code(ErrorCode::NotFound) => println!("the server has no provider"),
    ///     Err(error) if error.has_code(ErrorCode::Conflict) => println!("set a password first"),
    ///     disconnected => disconnected?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::is_connected`], and with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the user could
    /// not sign in any more.
    pub async fn disconnect(&self) -> Result<(), Error> {
        let request = self.request(Method::DELETE, "auth/oidc/link")?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }

    /// Logs in. Later uploads are only visible to this user.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # client.logout().await?;
    /// client.login("ada", &password).await?;
    /// assert_eq!(client.me().await?.map(|user| user.username).as_deref(), Some("ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the name and the password do not match.
    pub async fn login(&self, username: &str, password: &Secret<String>) -> Result<(), Error> {
        self.post("auth/login", &[("username", username), ("password", password.expose())]).await
    }

    /// Ends the session. API tokens stay valid; see [`Client::revoke_token`].
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// client.logout().await?;
    /// assert_eq!(client.me().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn logout(&self) -> Result<(), Error> {
        self.post("auth/logout", &[]).await
    }

    /// Ends all sessions of the user, including this one, and revokes all API tokens.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// // A laptop was stolen: its session and its tokens must end. This session ends too.
    /// client.logout_everywhere().await?;
    /// client.login("ada", &password).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] without a session from a login with a password.
    pub async fn logout_everywhere(&self) -> Result<(), Error> {
        self.post("auth/logout_everywhere", &[]).await
    }

    /// Returns the current user, by session or token; `None` if anonymous.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// match client.me().await? {
    ///     Some(user) => println!("logged in as {}", user.username),
    ///     None => println!("not logged in"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn me(&self) -> Result<Option<UserView>, Error> {
        self.read::<UserData>("auth/me").await.map(|data| data.user)
    }

    /// Changes the user's password. This ends all other sessions and revokes all API tokens.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let old = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &old).await?;
    /// # let new = Secret::new("battery staple".to_owned());
    /// match client.change_password(&old, &new).await {
    ///     Err(error) if error.has_code(ErrorCode::Unauthenticated) => println!("the old password is wrong"),
    ///     Err(error) if error.has_code(ErrorCode::Invalid) => println!("choose another password: {error}"),
    ///     result => result?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] without a login, if the old password is wrong, or if the server rejects the new one.
    pub async fn change_password(&self, old: &Secret<String>, new: &Secret<String>) -> Result<(), Error> {
        let fields = [("old_password", old.expose()), ("password1", new.expose()), ("password2", new.expose())];
        self.post("auth/password", &fields.map(|(name, value)| (name, value.as_str()))).await
    }

    /// Creates an API token, which acts as the user without a session. It expires after `expires_in_days`, or never.
    ///
    /// ```
    /// # use vocalizer_client::Secret;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # let folder = tempfile::tempdir()?;
    /// let created = client.create_token("nightly import", Some(365)).await?;
    /// // The server does not show it again.
    /// std::fs::write(folder.path().join("vocalizer-token"), created.secret.expose())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] without a login, or if the server rejects the name or the number of days.
    pub async fn create_token(&self, name: &str, expires_in_days: Option<u32>) -> Result<NewToken, Error> {
        let form = NewTokenForm { name, expires_in_days };
        let created: NewTokenData = self.send(Method::POST, "auth/tokens", &form).await?;
        Ok(NewToken { token: created.token, secret: created.secret.into() })
    }

    /// Returns the user's API tokens.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// for token in client.tokens().await? {
    ///     println!("{}: expires {}", token.name, token.expires_at.as_deref().unwrap_or("never"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] without a login.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Error> {
        self.read::<TokensData>("auth/tokens").await.map(|data| data.tokens)
    }

    /// Revokes an API token.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # client.create_token("old laptop", None).await?;
    /// for token in client.tokens().await?.iter().filter(|token| token.name == "old laptop") {
    ///     client.revoke_token(token.id).await?;
    /// }
    /// # assert_eq!(client.tokens().await?, []);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the user has no such token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("auth/tokens/{id}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<(), Error> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path)?.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(form);
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}
