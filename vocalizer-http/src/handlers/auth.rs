//! Accounts.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, header};
use vocalizer_core::api::{NewTokenData, TokensData, UserData};
use vocalizer_core::service::{LoginFrom, NewSession};

use super::{Answer, success, whole};
use crate::app::App;
use crate::body::Body;
use crate::failure::Failure;
use crate::request::{Peer, Request};
use crate::{answer, cookie, fields};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn register(app: &Arc<App>, request: Request) -> Answer {
    let (before, peer) = (request.session(), request.peer);
    let mut form = request.form().await?;
    let username = form.take(&fields::USERNAME);
    let (passwords, invite) =
        ([&form.take(&fields::PASSWORD_1), &form.take(&fields::PASSWORD_2)], form.take(&fields::INVITE));
    session_response(app.accounts.register(username.expose(), passwords, &invite, peer.address, before).await?, peer)
}

pub(crate) async fn login(app: &Arc<App>, request: Request) -> Answer {
    let (before, peer) = (request.session(), request.peer);
    let device = cookie::device(&request.headers, peer.secure);
    let mut form = request.form().await?;
    let (username, password) = (form.take(&fields::USERNAME), form.take(&fields::PASSWORD));
    let from = LoginFrom { address: peer.address, before, device: device.as_ref() };
    session_response(app.accounts.login(username.expose(), &password, from).await?, peer)
}

pub(crate) async fn logout(app: &Arc<App>, request: Request) -> Answer {
    app.accounts.logout(request.caller.session).await?;
    logged_out(request.peer)
}

pub(crate) async fn logout_everywhere(app: &Arc<App>, request: Request) -> Answer {
    app.accounts.logout_everywhere(request.caller).await?;
    logged_out(request.peer)
}

pub(crate) async fn me(app: &Arc<App>, request: Request) -> Answer {
    let user = app.accounts.user(request.caller).await?;
    success(&UserData { user })
}

pub(crate) async fn change_password(app: &Arc<App>, request: Request) -> Answer {
    let caller = request.caller;
    let mut form = request.form().await?;
    let (old, new) =
        (form.take(&fields::OLD_PASSWORD), [&form.take(&fields::PASSWORD_1), &form.take(&fields::PASSWORD_2)]);
    app.accounts.change_password(caller, &old, new).await?;
    success(&())
}

pub(crate) async fn list_tokens(app: &Arc<App>, request: Request) -> Answer {
    let tokens = app.accounts.tokens(request.caller).await?;
    success(&TokensData { tokens })
}

pub(crate) async fn create_token(app: &Arc<App>, request: Request) -> Answer {
    let caller = request.caller;
    let mut form = request.form().await?;
    let (name, days) = (form.take(&fields::TOKEN_NAME), form.take(&fields::EXPIRES_IN_DAYS));
    let lifetime = match days.expose().as_str() {
        "" => None,
        days => match days.parse::<u32>() {
            Ok(days @ 1..) => Some(DAY.saturating_mul(days)),
            _ => return Err(Failure::field("expires_in_days", "expires_in_days must be a whole number, at least 1")),
        },
    };
    let created = app.accounts.create_token(caller, name.expose(), lifetime).await?;
    let data = NewTokenData { token: created.token, secret: created.secret.into_exposed() };
    success(&data)
}

pub(crate) async fn revoke_token(app: &Arc<App>, request: Request) -> Answer {
    app.accounts.revoke_token(request.caller, request.param("token_id")?).await?;
    success(&())
}

fn session_response(session: NewSession, peer: Peer) -> Answer {
    let mut response = whole(answer::success(&UserData { user: Some(session.user.clone()) }));
    with_session(&mut response, &session, peer)?;
    Ok(response)
}

/// Sets the cookies of a session.
pub(super) fn with_session(response: &mut Response<Body>, session: &NewSession, peer: Peer) -> Result<(), Failure> {
    with_cookie(response, cookie::set(&session.secret, session.lasts, peer.secure))?;
    with_cookie(response, cookie::set_device(&session.device, peer.secure))
}

fn logged_out(peer: Peer) -> Answer {
    let mut response = whole(answer::success(&()));
    with_cookie(&mut response, cookie::clear(peer.secure))?;
    Ok(response)
}

pub(super) fn with_cookie(response: &mut Response<Body>, cookie: Option<http::HeaderValue>) -> Result<(), Failure> {
    let cookie = cookie.ok_or_else(|| Failure::internal("the cookie is not a valid header value"))?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}
