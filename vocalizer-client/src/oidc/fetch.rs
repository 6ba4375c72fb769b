//! Requests to the provider.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use vocalizer_api::causes::BoxError;

use crate::tls;

/// The longest request, with DNS, connection and response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest response. Key sets with certificates have some 10 kB.
const MAX_BYTES: usize = 512 * 1024;

/// Creates the HTTP client. It follows no redirects: they could lead secrets elsewhere.
pub(super) fn client() -> Result<reqwest::Client, BoxError> {
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("vocalizer/", env!("CARGO_PKG_VERSION")));
    let encrypted = cfg!(any(feature = "__rustls", feature = "native-tls"));
    Ok(tls::setup(http, encrypted, &[])?.build()?)
}

/// Sends a request and returns the JSON of the response.
pub(super) async fn json(request: RequestBuilder) -> Result<(StatusCode, Value), BoxError> {
    let mut response = request.header("accept", "application/json").send().await?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(format!("a response with more than {MAX_BYTES} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    match serde_json::from_slice(&body) {
        Ok(json) => Ok((status, json)),
        Err(_) => Err(format!("a response with status {} that is not JSON", status.as_u16()).into()),
    }
}

/// Like [`json`], for responses that must have status 200.
pub(super) async fn success(request: RequestBuilder) -> Result<Value, BoxError> {
    match json(request).await? {
        (StatusCode::OK, json) => Ok(json),
        (status, _) => Err(format!("a response with status {}", status.as_u16()).into()),
    }
}
