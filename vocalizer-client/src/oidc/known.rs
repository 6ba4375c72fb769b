//! What is known of the provider: its addresses and keys, fetched when needed and kept for a while.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use vocalizer_api::causes::BoxError;
use vocalizer_core::ports::IdentityError;

use super::fetch;
use super::settings::is_protected;

/// How long the addresses and the keys are used before they are fetched again. If that fails, the old ones are used.
const FRESH_FOR: Duration = Duration::from_secs(60 * 60);

/// How long a failure is reported without another try, so that requests do not wait in a line for a dead provider.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// The provider's addresses, and how its token endpoint authenticates this server.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) end_session_endpoint: Option<Url>,
    pub(super) auth_methods: Vec<String>,
}

/// The provider's description of itself.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What is known of the provider.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    metadata: Option<(Metadata, Instant)>,
    keys: Option<(Vec<Jwk>, Instant)>,
    failed: Option<(String, Instant)>,
}

impl Known {
    /// Returns the addresses.
    pub(super) async fn metadata(&self, http: &reqwest::Client, issuer: &str) -> Result<Metadata, IdentityError> {
        let mut state = self.0.lock().await;
        state.metadata(http, issuer).await
    }

    /// Returns the keys. With `but_not`, the time of keys that were not enough, they are fetched again if they are older than
    /// `interval`.
    pub(super) async fn keys(
        &self,
        http: &reqwest::Client,
        issuer: &str,
        but_not: Option<Instant>,
        interval: Duration,
    ) -> Result<(Vec<Jwk>, Instant), IdentityError> {
        let mut state = self.0.lock().await;
        let metadata = state.metadata(http, issuer).await?;
        if let Some((keys, at)) = &state.keys {
            let is_enough = if but_not == Some(*at) { at.elapsed() < interval } else { at.elapsed() < FRESH_FOR };
            if is_enough {
                return Ok((keys.clone(), *at));
            }
        }
        if let Some(error) = state.pause() {
            return state.keys.clone().ok_or(error);
        }
        let fetched = async { parse_keys(fetch::success(http.get(metadata.jwks_uri)).await?) }.await;
        let old = state.keys.clone();
        match (state.noted("its keys", fetched), old) {
            (Ok(keys), _) => {
                let at = Instant::now();
                state.keys = Some((keys.clone(), at));
                Ok((keys, at))
            }
            (Err(_), Some(old)) => Ok(old),
            (Err(error), None) => Err(error),
        }
    }
}

impl State {
    async fn metadata(&mut self, http: &reqwest::Client, issuer: &str) -> Result<Metadata, IdentityError> {
        let old = self.metadata.clone();
        if let Some((metadata, at)) = &old
            && at.elapsed() < FRESH_FOR
        {
            return Ok(metadata.clone());
        }
        if let Some(error) = self.pause() {
            return old.map(|(metadata, _)| metadata).ok_or(error);
        }
        let fetched = async {
            let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            parse_metadata(fetch::success(http.get(url)).await?, issuer)
        };
        let fetched = fetched.await;
        match (self.noted("its configuration", fetched), old) {
            (Ok(metadata), _) => {
                self.metadata = Some((metadata.clone(), Instant::now()));
                Ok(metadata)
            }
            (Err(_), Some((metadata, _))) => Ok(metadata),
            (Err(error), None) => Err(error),
        }
    }

    /// Returns the failure of a moment ago.
    fn pause(&self) -> Option<IdentityError> {
        let (error, _) = self.failed.as_ref().filter(|(_, at)| at.elapsed() < FAILED_FOR)?;
        Some(IdentityError::Unavailable(error.clone().into()))
    }

    /// Remembers a failure, and logs it.
    fn noted<T>(&mut self, what: &str, fetched: Result<T, BoxError>) -> Result<T, IdentityError> {
        fetched.map_err(|error| {
            let error = format!("{what}: {}", vocalizer_api::causes::chain(error.as_ref()));
            tracing::warn!(error, "identity provider unavailable");
            self.failed = Some((error.clone(), Instant::now()));
            IdentityError::Unavailable(error.into())
        })
    }
}

fn parse_metadata(json: Value, issuer: &str) -> Result<Metadata, BoxError> {
    let found: Description = serde_json::from_value(json)?;
    if found.issuer != issuer {
        let found = found.issuer;
        return Err(format!("the provider calls itself {found}, not {issuer}; OIDC_ISSUER must be exactly that").into());
    }
    Ok(Metadata {
        authorization_endpoint: address(&found.authorization_endpoint)?,
        token_endpoint: address(&found.token_endpoint)?,
        jwks_uri: address(&found.jwks_uri)?,
        userinfo_endpoint: found.userinfo_endpoint.as_deref().map(address).transpose()?,
        // Without it, users can still sign in.
        end_session_endpoint: found.end_session_endpoint.and_then(|url| address(&url).ok()),
        auth_methods: found.token_endpoint_auth_methods_supported,
    })
}

fn address(text: &str) -> Result<Url, BoxError> {
    let url = Url::parse(text).map_err(|_| format!("{text} is no address"))?;
    if is_protected(&url) { Ok(url) } else { Err(format!("the address {url} has no TLS").into()) }
}

/// Reads keys; those that cannot be read are for others.
fn parse_keys(json: Value) -> Result<Vec<Jwk>, BoxError> {
    #[derive(Deserialize)]
    struct Keys {
        keys: Vec<Value>,
    }
    let Keys { keys } = serde_json::from_value(json)?;
    Ok(keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}
