//! Sign-in by an OpenID Connect provider.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use vocalizer_core::api::{ConnectionData, ProviderAddressData, SignInData};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{BegunSignIn, LoginFrom, ProviderAnswer, SIGN_IN_LASTS, SignedIn};

use super::auth::{with_cookie, with_session};
use super::{Answer, success, to_completion, whole};
use crate::app::App;
use crate::body::{Body, full};
use crate::failure::Failure;
use crate::form::Query;
use crate::origin::may_act;
use crate::request::{Peer, Request};
use crate::{answer, cookie, fields};

/// The status that a redirected error counts as in the metrics. Otherwise refused sign-ins would look like accepted ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub(crate) StatusCode);

/// The page, from the address of the callback. Relative, because a proxy may serve it under a path.
const PAGE: &str = "../../#/";

pub(crate) async fn options(app: &Arc<App>, _: Request) -> Answer {
    success(&SignInData { sign_in: app.accounts.sign_in_view() })
}

pub(crate) async fn begin(app: &Arc<App>, request: Request) -> Answer {
    check_get(&request)?;
    let begun = match may_act(&Method::POST, &request.headers) {
        // Another site must not change who is signed in.
        false => Err(Failure::cross_site()),
        true => app.accounts.begin_sign_in().await.map_err(Failure::from),
    };
    let begun = match begun {
        Ok(begun) => begun,
        Err(failure) => return refused(failure, &request.headers, "../#/"),
    };
    let mut response = redirect(&begun.url)?;
    remember(&mut response, &begun, request.peer)?;
    Ok(response)
}

pub(crate) async fn link(app: &Arc<App>, request: Request) -> Answer {
    let begun = app.accounts.begin_link(request.caller).await?;
    let mut response = whole(answer::success(&ProviderAddressData { url: begun.url.clone() }));
    remember(&mut response, &begun, request.peer)?;
    Ok(response)
}

pub(crate) async fn connection(app: &Arc<App>, request: Request) -> Answer {
    success(&ConnectionData { connected: app.accounts.is_linked(request.caller).await? })
}

pub(crate) async fn unlink(app: &Arc<App>, request: Request) -> Answer {
    let (accounts, caller) = (app.accounts.clone(), request.caller);
    // In a task of its own, so that it is also recorded if the client disconnects.
    to_completion(async move { accounts.unlink(caller).await }).await?;
    success(&ConnectionData { connected: false })
}

pub(crate) async fn logout(app: &Arc<App>, request: Request) -> Answer {
    match app.accounts.end_provider_session().await {
        Ok(url) => redirect(url.as_deref().unwrap_or(PAGE)),
        Err(error) => refused(error.into(), &request.headers, PAGE),
    }
}

pub(crate) async fn callback(app: &Arc<App>, request: Request) -> Answer {
    check_get(&request)?;
    let peer = request.peer;
    let given = cookie::sign_in(&request.headers, peer.secure);
    let query = request.query();
    let answer = ProviderAnswer {
        state: text(&query, &fields::STATE)?.unwrap_or_default(),
        code: Secret::new(text(&query, &fields::CODE)?.unwrap_or_default()),
        issuer: text(&query, &fields::ISSUER)?,
        error: text(&query, &fields::PROVIDER_ERROR)?,
    };
    let (accounts, caller, before) = (app.accounts.clone(), request.caller, request.session());
    let device = cookie::device(&request.headers, peer.secure);
    // A code is good for one attempt, so a client that disconnects does not end it.
    let finished = to_completion(async move {
        let from = LoginFrom { address: peer.address, before, device: device.as_ref() };
        accounts.finish_sign_in(given.as_ref(), &answer, caller, from).await
    });
    let mut response = match finished.await {
        Ok(SignedIn::Session(session)) => {
            let mut response = redirect(PAGE)?;
            with_session(&mut response, &session, peer)?;
            response
        }
        Ok(SignedIn::Linked) => redirect(&format!("{PAGE}account?sign-in=connected"))?,
        Err(failure) => refused(failure, &request.headers, PAGE)?,
    };
    with_cookie(&mut response, cookie::clear_sign_in(peer.secure))?;
    Ok(response)
}

/// A probe of the address must not use up the state.
fn check_get(request: &Request) -> Result<(), Failure> {
    if request.method == Method::HEAD {
        return Err(Failure::method_not_allowed("GET".to_owned()));
    }
    Ok(())
}

fn text(query: &Query, field: &'static fields::Field) -> Result<Option<String>, Failure> {
    query.get(field, |text| Some(text.to_owned()))
}

fn remember(response: &mut Response<Body>, begun: &BegunSignIn, peer: Peer) -> Result<(), Failure> {
    with_cookie(response, cookie::set_sign_in(&begun.cookie, SIGN_IN_LASTS, peer.secure))
}

/// Sends a browser to the page, which shows the error. Programs get the error itself.
fn refused(failure: Failure, headers: &HeaderMap, page: &str) -> Answer {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    if !accepted.contains("text/html") {
        return Ok(failure.into_response().map(full));
    }
    if let Some(private) = &failure.private {
        tracing::warn!(error = %private, "sign-in failed");
    }
    let mut response = redirect(&format!("{page}account?sign-in={}", failure.code()))?;
    response.extensions_mut().insert(Refused(answer::status_of(failure.code())));
    Ok(response)
}

fn redirect(to: &str) -> Answer {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::try_from(to).map_err(Failure::internal)?;
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
