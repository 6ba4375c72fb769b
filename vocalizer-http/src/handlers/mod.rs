//! Request handlers, one function per operation. The rules are in the core.

pub(crate) mod admin;
pub(crate) mod analyses;
mod archive;
pub(crate) mod auth;
mod download;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod labels;
mod library;
pub(crate) mod list_events;
pub(crate) mod markers;
mod naming;
pub(crate) mod operations;
pub(crate) mod parts;
pub(crate) mod results;
pub(crate) mod resumable;
pub(crate) mod shares;
pub(crate) mod sign_in;
pub(crate) mod songs;
pub(crate) mod tagged;
pub(crate) mod trash;
pub(crate) mod upload;
pub(crate) mod webhooks;
pub(crate) mod work;

use std::future::Future;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Response};
use serde::Serialize;
use tracing::Instrument as _;
use vocalizer_core::trace::{current, within};

use crate::answer;
use crate::body::{self, Body, full};
use crate::failure::Failure;

pub(crate) type Answer = Result<Response<Body>, Failure>;

/// Returns a success response with data.
fn success(data: &impl Serialize) -> Answer {
    Ok(whole(answer::success(data)))
}

/// Runs work in a separate task, so that it completes even if the client disconnects.
async fn to_completion<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Send + 'static,
    Failure: From<E>,
{
    Ok(tokio::spawn(within(current(), work).in_current_span()).await.map_err(Failure::internal)??)
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
