//! Accounts.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, header};
use vocalizer_core::api::{NewTokenData, TokensData, UserData};
use vocalizer_core::service::{LoginFrom, NewSession};

use super::{Answer, whole};
use crate::app::App;
use crate::body::Body;
use crate::failure::Failure;
use crate::form::Form;
use crate::request::{Peer, Request};
use crate::{answer, cookie};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn register(app: &Arc<App>, request: Request) -> Answer {
    let (before, peer) = (request.session(), request.peer);
    let mut form = Form::read(&request.headers, request.body).await?;
    let username = form.take("username");
    let (passwords, invite) = ([&form.take("password1"), &form.take("password2")], form.take("invite"));
    session_response(app.accounts.register(username.expose(), passwords, &invite, peer.address, before).await?, peer)
}

pub(super) async fn login(app: &Arc<App>, request: Request) -> Answer {
    let (before, peer) = (request.session(), request.peer);
    let device = cookie::device(&request.headers, peer.secure);
    let mut form = Form::read(&request.headers, request.body).await?;
    let (username, password) = (form.take("username"), form.take("password"));
    let from = LoginFrom { address: peer.address, before, device: device.as_ref() };
    session_response(app.accounts.login(username.expose(), &password, from).await?, peer)
}

pub(super) async fn logout(app: &Arc<App>, request: &Request) -> Answer {
    app.accounts.logout(request.caller.session).await?;
    let mut response = whole(answer::success(&()));
    with_cookie(&mut response, cookie::clear(request.peer.secure))?;
    Ok(response)
}

pub(super) async fn logout_everywhere(app: &Arc<App>, request: &Request) -> Answer {
    app.accounts.logout_everywhere(request.caller).await?;
    let mut response = whole(answer::success(&()));
    with_cookie(&mut response, cookie::clear(request.peer.secure))?;
    Ok(response)
}

pub(super) async fn me(app: &Arc<App>, request: &Request) -> Answer {
    let user = app.accounts.user(request.caller).await?;
    Ok(whole(answer::success(&UserData { user })))
}

pub(super) async fn change_password(app: &Arc<App>, request: Request) -> Answer {
    let caller = request.caller;
    let mut form = Form::read(&request.headers, request.body).await?;
    let (old, new) = (form.take("old_password"), [&form.take("password1"), &form.take("password2")]);
    app.accounts.change_password(caller, &old, new).await?;
    Ok(whole(answer::success(&())))
}

pub(super) async fn list_tokens(app: &Arc<App>, request: &Request) -> Answer {
    let tokens = app.accounts.tokens(request.caller).await?;
    Ok(whole(answer::success(&TokensData { tokens })))
}

pub(super) async fn create_token(app: &Arc<App>, request: Request) -> Answer {
    let caller = request.caller;
    let mut form = Form::read(&request.headers, request.body).await?;
    let (name, days) = (form.take("name"), form.take("expires_in_days"));
    let lifetime = match days.expose().as_str() {
        "" => None,
        days => match days.parse::<u32>() {
            Ok(days @ 1..) => Some(DAY.saturating_mul(days)),
            _ => return Err(Failure::field("expires_in_days", "expires_in_days must be a whole number, at least 1")),
        },
    };
    let created = app.accounts.create_token(caller, name.expose(), lifetime).await?;
    let data = NewTokenData { token: created.token, secret: created.secret.into_exposed() };
    Ok(whole(answer::success(&data)))
}

pub(super) async fn revoke_token(app: &Arc<App>, request: &Request) -> Answer {
    app.accounts.revoke_token(request.caller, request.param("token_id")?).await?;
    Ok(whole(answer::success(&())))
}

fn session_response(session: NewSession, peer: Peer) -> Answer {
    let mut response = whole(answer::success(&UserData { user: Some(session.user) }));
    with_cookie(&mut response, cookie::set(&session.secret, session.lasts, peer.secure))?;
    with_cookie(&mut response, cookie::set_device(&session.device, peer.secure))?;
    Ok(response)
}

fn with_cookie(response: &mut Response<Body>, cookie: Option<http::HeaderValue>) -> Result<(), Failure> {
    let cookie = cookie.ok_or_else(|| Failure::internal("the cookie is not a valid header value"))?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}
