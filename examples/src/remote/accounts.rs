//! Accounts and API tokens.

use serde_json::json;
use vocalizer_client::{Client, ErrorCode, Secret, TokenView};

use super::args::{Register, Token, TokenCommand};
use super::connection::Connection;
use super::credentials::Kept;
use super::failure::Failure;
use super::report::shown;
use crate::voice::Voice;

/// The name of the stored token in the user's token list.
const TOKEN_NAME: &str = "client";

const NOT_LOGGED_IN: Failure = Failure::NotLoggedIn("not logged in; use `vocalizer remote login`");

pub(super) async fn login(
    connection: &Connection,
    username: &str,
    password: &Secret<String>,
    voice: Voice,
) -> Result<(), Failure> {
    let client = connection.anonymous()?;
    client.login(username, password).await?;
    keep(connection, &client, username, voice).await
}

pub(super) async fn register(
    connection: &Connection,
    register: &Register,
    password: &Secret<String>,
    voice: Voice,
) -> Result<(), Failure> {
    let (client, username) = (connection.anonymous()?, register.user.username.as_str());
    match &register.invite {
        None => client.register(username, password).await?,
        Some(invite) => client.register_with_invite(username, password, invite).await?,
    }
    keep(connection, &client, username, voice).await
}

/// Replaces the session with a new token, stores it and revokes the previously stored token.
async fn keep(connection: &Connection, client: &Client, username: &str, voice: Voice) -> Result<(), Failure> {
    // Fail before creating a token that cannot be stored.
    connection.store.path()?;
    let before = connection.store.load().ok().flatten();
    let made = client.create_token(TOKEN_NAME, None).await?;
    connection.store.save(&Kept { username: username.to_owned(), id: made.token.id, token: made.secret })?;
    if let Some(before) = before {
        // It may belong to another user or be revoked already.
        let _ = client.revoke_token(before.id).await;
    }
    client.logout().await?;
    voice.say(&json!({"event": "login", "username": username}), &format!("logged in as {}", shown(username)));
    Ok(())
}

pub(super) async fn logout(connection: &Connection, voice: Voice) -> Result<(), Failure> {
    let kept = kept(connection)?;
    match connection.bearer(kept.token)?.logout().await {
        // An unauthenticated error means that the token was already revoked.
        Err(error) if !error.has_code(ErrorCode::Unauthenticated) => return Err(error.into()),
        _ => {}
    }
    connection.store.forget()?;
    voice.say(&json!({"event": "logout", "username": kept.username}), "logged out");
    Ok(())
}

pub(super) async fn logout_everywhere(
    connection: &Connection,
    password: &Secret<String>,
    voice: Voice,
) -> Result<(), Failure> {
    let username = kept(connection)?.username;
    let client = connection.anonymous()?;
    client.login(&username, password).await?;
    client.logout_everywhere().await?;
    connection.store.forget()?;
    voice.say(&json!({"event": "logout", "username": username, "everywhere": true}), "logged out everywhere");
    Ok(())
}

/// Returns the login stored on this machine.
pub(super) fn kept(connection: &Connection) -> Result<Kept, Failure> {
    connection.store.load()?.ok_or(NOT_LOGGED_IN)
}

pub(super) async fn whoami(client: &Client, voice: Voice) -> Result<(), Failure> {
    let user = client.me().await?.ok_or(NOT_LOGGED_IN)?;
    voice.say(&json!({"event": "user", "user": user}), &shown(&user.username));
    Ok(())
}

/// Manages tokens. Requires the password, so that a leaked token cannot create new ones.
pub(super) async fn token(
    connection: &Connection,
    token: &Token,
    password: &Secret<String>,
    voice: Voice,
) -> Result<(), Failure> {
    let username = match &token.user {
        Some(user) => user.clone(),
        None => kept(connection)?.username,
    };
    let client = connection.anonymous()?;
    client.login(&username, password).await?;
    let done = with_tokens(&client, &token.command, voice).await;
    client.logout().await?;
    done
}

async fn with_tokens(client: &Client, command: &TokenCommand, voice: Voice) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { name, days } => {
            let made = client.create_token(name, *days).await?;
            let secret = made.secret.expose();
            voice.say(&json!({"event": "token", "token": made.token, "secret": secret}), &shown(secret));
        }
        TokenCommand::List => {
            for token in client.tokens().await? {
                voice.say(&json!({"event": "token", "token": token}), &row(&token));
            }
        }
        TokenCommand::Revoke { id } => {
            client.revoke_token(*id).await?;
            voice.say(&json!({"event": "revoked", "id": id}), &format!("revoked {id}"));
        }
    }
    Ok(())
}

fn row(token: &TokenView) -> String {
    let day = |time: &str| time.split('T').next().unwrap_or_default().to_owned();
    let expires = token.expires_at.as_deref().map_or_else(|| "never".to_owned(), day);
    format!("{}  {}  {expires:<10}  {}", token.id, day(&token.created_at), shown(&token.name))
}
