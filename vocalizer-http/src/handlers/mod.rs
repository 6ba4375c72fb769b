//! Request handlers, one function per operation. The rules are in the core.

mod archive;
mod auth;
mod download;
mod events;
mod jobs;
mod list_events;
pub(crate) mod operations;
mod parts;
mod results;
mod songs;
mod upload;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Response};

use crate::app::App;
use crate::body::{self, Body, full};
use crate::failure::Failure;
use crate::request::Request;
use crate::routes::Operation;

type Answer = Result<Response<Body>, Failure>;

pub(crate) async fn handle(app: &Arc<App>, operation: Operation, request: Request) -> Answer {
    match operation {
        Operation::Register => auth::register(app, request).await,
        Operation::Login => auth::login(app, request).await,
        Operation::Logout => auth::logout(app, &request).await,
        Operation::LogoutEverywhere => auth::logout_everywhere(app, &request).await,
        Operation::Me => auth::me(app, &request).await,
        Operation::ChangePassword => auth::change_password(app, request).await,
        Operation::ListTokens => auth::list_tokens(app, &request).await,
        Operation::CreateToken => auth::create_token(app, request).await,
        Operation::RevokeToken => auth::revoke_token(app, &request).await,
        Operation::ListSongs => songs::list(app, &request).await,
        Operation::Upload => upload::upload(app, request).await,
        Operation::GetSong => songs::get(app, &request).await,
        Operation::RenameSong => songs::rename(app, request).await,
        Operation::DeleteSong => songs::delete(app, &request).await,
        Operation::RetrySong => songs::retry(app, &request).await,
        Operation::ListEvents => list_events::events(app, &request).await,
        Operation::Events => events::events(app, &request).await,
        Operation::Peaks => parts::peaks(app, &request).await,
        Operation::Part => parts::part(app, &request).await,
        Operation::UploadResult => results::upload_result(app, request).await,
        Operation::BeginWork => work::begin(app, &request).await,
        Operation::Source => work::source(app, &request).await,
        Operation::ReportProgress => work::progress(app, request).await,
        Operation::HandBack => work::hand_back(app, &request).await,
        Operation::GiveUp => work::give_up(app, request).await,
        Operation::LeaseJob => jobs::lease(app, request).await,
        Operation::ExtendLease => jobs::extend(app, &request).await,
        Operation::AcknowledgeJob => jobs::acknowledge(app, &request).await,
        Operation::FailJob => jobs::fail(app, request).await,
        Operation::Live => operations::live(&app.pulse),
        Operation::Ready => Ok(operations::readiness(&app.probe).await),
        Operation::Metrics => operations::metrics(app).await,
        Operation::OpenApi => Ok(operations::openapi()),
        Operation::Limits => Ok(operations::limits(app)),
    }
}

/// The response to a `HEAD` for a file that does not exist yet. Its length is unknown.
fn unmade(headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(body::stream(stream::empty::<std::io::Result<_>>()));
    *response.headers_mut() = headers;
    response
}

/// Converts a response from memory.
fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(full)
}
