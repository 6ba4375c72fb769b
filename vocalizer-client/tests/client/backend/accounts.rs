//! Users, sessions and tokens.

use std::collections::HashMap;

use hyper::Method;
use hyper::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use vocalizer_api::UserData;
use vocalizer_client::{ErrorCode, TokenId, UserId, UserView};

use super::{Backend, Call, HttpResponse, failure, success};

pub(super) struct Token {
    id: TokenId,
    name: String,
    days: Option<String>,
    pub(super) user: UserId,
    pub(super) secret: String,
}

impl Token {
    fn view(&self) -> Value {
        let expires_at = self.days.as_ref().map(|_| "2027-01-01T00:00:00Z");
        json!({"id": self.id, "name": self.name, "created_at": "2026-11-24T21:00:00Z", "expires_at": expires_at})
    }
}

pub(super) fn answer(backend: &mut Backend, call: &Call<'_>, fields: &HashMap<String, String>) -> HttpResponse {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    match (&call.method, &call.path[1..]) {
        (&Method::POST, ["logout"]) => {
            if let Some(session) = call.header(COOKIE).strip_prefix("session=") {
                backend.sessions.remove(session);
            }
            let mut response = success(());
            let removed = "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
            response.headers_mut().insert(SET_COOKIE, removed.parse().unwrap());
            response
        }
        (&Method::POST, ["register"]) if field("password1") != field("password2") => failure(422, ErrorCode::Invalid),
        (&Method::POST, ["register"]) if backend.invite.is_some_and(|invite| field("invite") != invite) => {
            failure(403, if field("invite").is_empty() { ErrorCode::InviteRequired } else { ErrorCode::InviteInvalid })
        }
        (&Method::POST, ["register"]) if backend.users.contains_key(&field("username")) => {
            failure(409, ErrorCode::Conflict)
        }
        (&Method::POST, ["register"]) => {
            let id = UserId::random();
            backend.users.insert(field("username"), (id, field("password1")));
            session(backend, id)
        }
        (&Method::POST, ["login"]) => match backend.users.get(&field("username")) {
            Some((id, password)) if *password == field("password") => session(backend, *id),
            _ => failure(401, ErrorCode::Unauthenticated),
        },
        (&Method::GET, ["me"]) => {
            let found = backend.users.iter().find(|(_, (id, _))| Some(*id) == call.user);
            success(UserData { user: found.map(|(name, (id, _))| UserView::new(*id, name.clone())) })
        }
        (method, path) => match call.user {
            Some(user) if !call.by_token => owned(backend, method, path, user, fields),
            _ => failure(401, ErrorCode::Unauthenticated),
        },
    }
}

fn owned(
    backend: &mut Backend,
    method: &Method,
    path: &[&str],
    user: UserId,
    fields: &HashMap<String, String>,
) -> HttpResponse {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    match (method, path) {
        (&Method::POST, ["password"]) => {
            let (_, password) = backend.users.values_mut().find(|(id, _)| *id == user).unwrap();
            if *password != field("old_password") || field("password1") != field("password2") {
                return failure(401, ErrorCode::Unauthenticated);
            }
            *password = field("password1");
            success(())
        }
        (&Method::POST, ["logout_everywhere"]) => {
            backend.sessions.retain(|_, owner| *owner != user);
            backend.tokens.retain(|token| token.user != user);
            success(())
        }
        (&Method::GET, ["tokens"]) => {
            let tokens: Vec<_> = backend.tokens.iter().filter(|token| token.user == user).map(Token::view).collect();
            success(json!({"tokens": tokens}))
        }
        (&Method::POST, ["tokens"]) => {
            let (id, days) = (TokenId::random(), fields.get("expires_in_days").cloned());
            let token = Token { id, name: field("name"), days, user, secret: format!("vct_{id}") };
            let answer = success(json!({"token": token.view(), "secret": token.secret}));
            backend.tokens.push(token);
            answer
        }
        (&Method::DELETE, ["tokens", id]) => {
            let count = backend.tokens.len();
            backend.tokens.retain(|token| token.id.to_string() != *id || token.user != user);
            if backend.tokens.len() < count { success(()) } else { failure(404, ErrorCode::NotFound) }
        }
        _ => failure(404, ErrorCode::NotFound),
    }
}

fn session(backend: &mut Backend, user: UserId) -> HttpResponse {
    let session = UserId::random().to_string();
    let cookie = format!("session={session}; HttpOnly; SameSite=Lax; Path=/");
    backend.sessions.insert(session, user);
    let mut response = success(());
    response.headers_mut().insert(SET_COOKIE, cookie.parse().unwrap());
    response
}
