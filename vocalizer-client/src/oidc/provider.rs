//! The provider, as a port of the core.

use std::sync::OnceLock;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use url::form_urlencoded::{Serializer, byte_serialize};
use vocalizer_api::causes::BoxError;
use vocalizer_api::secret::Secret;
use vocalizer_core::account::Identity;
use vocalizer_core::ports::{IdentityError, IdentityProvider, ProviderUser, SignInAttempt};

use super::fetch;
use super::known::{Known, Metadata};
use super::settings::{ClaimRule, InvalidOidcSettings, OidcSettings};
use super::token::{Claims, Expected, TokenError, check};

/// An [`IdentityProvider`] with OpenID Connect: discovery, the authorization code flow with PKCE, and ID tokens with a public-key
/// signature.
///
/// The provider's addresses and keys are fetched when they are first needed. They are kept for an hour, and longer if the provider
/// cannot be reached. A token with an unknown key makes the keys be fetched again.
///
/// ```
/// use vocalizer_client::Secret;
/// use vocalizer_client::oidc::{OidcProvider, OidcSettings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redirect_uri = "https://songs.example.org/auth/oidc/callback";
/// let mut settings = OidcSettings::new("https://id.example.org", "vocalizer", redirect_uri);
/// settings.client_secret = Some(Secret::new("a secret from the provider".to_owned()));
/// settings.claim_rule = Some("groups=musicians".parse()?);
/// let provider = OidcProvider::new(settings)?;
///
/// assert!(OidcProvider::new(OidcSettings::new("http://id.example.org", "vocalizer", redirect_uri)).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OidcProvider {
    settings: OidcSettings,
    known: Known,
    /// Created for the first request, because it reads the system's root certificates.
    http: OnceLock<Result<reqwest::Client, BoxError>>,
}

/// What the provider returns for a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

impl OidcProvider {
    /// Creates a provider. It is not asked yet.
    ///
    /// # Errors
    ///
    /// [`InvalidOidcSettings`].
    pub fn new(settings: OidcSettings) -> Result<Self, InvalidOidcSettings> {
        settings.check()?;
        Ok(Self { settings, known: Known::default(), http: OnceLock::new() })
    }

    fn http(&self) -> Result<&reqwest::Client, IdentityError> {
        let http = self.http.get_or_init(fetch::client).as_ref();
        http.map_err(|error| IdentityError::Unavailable(error.to_string().into()))
    }

    /// Returns the request that redeems the code.
    fn token_request(
        &self,
        metadata: &Metadata,
        code: &Secret<String>,
        attempt: &SignInAttempt,
    ) -> Result<RequestBuilder, IdentityError> {
        let OidcSettings { client_id, client_secret, redirect_uri, .. } = &self.settings;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.expose())
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("code_verifier", attempt.code_verifier.expose());
        let mut request = self.http()?.post(metadata.token_endpoint.clone());
        // Without a list, the standard's default.
        let has = |method: &str| metadata.auth_methods.iter().any(|one| one == method);
        match client_secret {
            None => {
                form.append_pair("client_id", client_id);
            }
            Some(secret) if metadata.auth_methods.is_empty() || has("client_secret_basic") => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(client_id), Some(encoded(secret.expose())));
            }
            Some(secret) if has("client_secret_post") => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose());
            }
            Some(_) => {
                let what = "its token endpoint accepts neither client_secret_basic nor client_secret_post";
                return Err(IdentityError::Unavailable(what.into()));
            }
        }
        Ok(request.header("content-type", "application/x-www-form-urlencoded").body(form.finish()))
    }

    /// Redeems the code.
    async fn tokens(
        &self,
        metadata: &Metadata,
        code: &Secret<String>,
        attempt: &SignInAttempt,
    ) -> Result<Tokens, IdentityError> {
        let request = self.token_request(metadata, code, attempt)?;
        let (status, json) = fetch::json(request).await.map_err(|error| unavailable("its token endpoint", error))?;
        match status {
            StatusCode::OK => serde_json::from_value(json).map_err(|_| {
                IdentityError::Invalid("the token endpoint returned no ID token; is openid a scope?".into())
            }),
            status => {
                let code = json.get("error").and_then(Value::as_str).unwrap_or("no error code");
                let code: String = code.escape_debug().take(64).collect();
                let what = format!("the token endpoint responded with status {}: {code}", status.as_u16());
                match code.as_str() {
                    "invalid_grant" => Err(IdentityError::Invalid(what.into())),
                    "invalid_client" | "unauthorized_client" => Err(IdentityError::Refused(what.into())),
                    // A fault of the provider, or of this server's settings.
                    _ => Err(IdentityError::Unavailable(what.into())),
                }
            }
        }
    }

    /// Checks the ID token, with fresh keys if its key is unknown.
    async fn check_token(&self, token: &str, expected: &Expected<'_>) -> Result<Claims, IdentityError> {
        let (http, OidcSettings { issuer, key_interval, .. }) = (self.http()?, &self.settings);
        let (keys, at) = self.known.keys(http, issuer, None, *key_interval).await?;
        let checked = match check(token, &keys, expected) {
            Err(TokenError::UnknownKey) => {
                let (keys, _) = self.known.keys(http, issuer, Some(at), *key_interval).await?;
                check(token, &keys, expected)
            }
            checked => checked,
        };
        checked.map_err(|error| IdentityError::Invalid(error.into()))
    }

    /// Adds claims that the ID token lacks and this server needs. Some providers have them only in a response of their own.
    async fn complete(
        &self,
        claims: &mut Claims,
        metadata: &Metadata,
        access_token: Option<&str>,
    ) -> Result<(), IdentityError> {
        let OidcSettings { allowed_domains, claim_rule, .. } = &self.settings;
        let lacks = |name: &str| !claims.others.contains_key(name);
        let needed = lacks("preferred_username") && lacks("email")
            || !allowed_domains.is_empty() && (lacks("email") || lacks("email_verified"))
            || claim_rule.as_ref().is_some_and(|rule| lacks(&rule.name));
        let (true, Some(address), Some(token)) = (needed, &metadata.userinfo_endpoint, access_token) else {
            return Ok(());
        };
        let request = self.http()?.get(address.clone()).bearer_auth(token);
        let found = fetch::success(request).await.map_err(|error| unavailable("its user info", error))?;
        let Value::Object(found) = found else {
            return Err(IdentityError::Invalid("the user info is no object".into()));
        };
        if found.get("sub").and_then(Value::as_str) != Some(claims.sub.as_str()) {
            return Err(IdentityError::Invalid("the user info is about another user".into()));
        }
        // `email_verified` is about the address in the same document.
        if found.contains_key("email") {
            claims.others.remove("email");
            claims.others.remove("email_verified");
        }
        for (name, value) in found {
            claims.others.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Checks the operator's rules.
    fn admit(&self, claims: &Map<String, Value>) -> Result<(), IdentityError> {
        let OidcSettings { allowed_domains, claim_rule, .. } = &self.settings;
        if !allowed_domains.is_empty() && !is_in_domain(claims, allowed_domains) {
            return Err(IdentityError::NotAdmitted(
                "this server admits only users with a verified e-mail address in certain domains",
            ));
        }
        if claim_rule.as_ref().is_some_and(|rule| !has_claim(claims, rule)) {
            return Err(IdentityError::NotAdmitted("the sign-in provider has not given you access to this server"));
        }
        Ok(())
    }
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    async fn authorization_url(&self, attempt: &SignInAttempt) -> Result<String, IdentityError> {
        let OidcSettings { issuer, client_id, redirect_uri, scopes, .. } = &self.settings;
        let mut url = self.known.metadata(self.http()?, issuer).await?.authorization_endpoint;
        let others = scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        let scopes: Vec<_> = std::iter::once("openid").chain(others).collect();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.code_verifier.expose()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", attempt.state.expose())
            .append_pair("nonce", attempt.nonce.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    fn ends_sessions(&self) -> bool {
        self.settings.logout_redirect_uri.is_some()
    }

    async fn end_session_url(&self) -> Result<Option<String>, IdentityError> {
        let OidcSettings { issuer, client_id, logout_redirect_uri, .. } = &self.settings;
        let found = self.known.metadata(self.http()?, issuer).await?.end_session_endpoint;
        Ok(found.zip(logout_redirect_uri.as_ref()).map(|(mut url, back)| {
            url.query_pairs_mut().append_pair("client_id", client_id).append_pair("post_logout_redirect_uri", back);
            url.into()
        }))
    }

    async fn identify(
        &self,
        code: &Secret<String>,
        attempt: &SignInAttempt,
        now: OffsetDateTime,
    ) -> Result<ProviderUser, IdentityError> {
        let OidcSettings { issuer, client_id, .. } = &self.settings;
        let metadata = self.known.metadata(self.http()?, issuer).await?;
        let tokens = self.tokens(&metadata, code, attempt).await?;
        let expected = Expected { issuer, client_id, nonce: attempt.nonce.expose(), now_s: now.unix_timestamp() };
        let mut claims = self.check_token(&tokens.id_token, &expected).await?;
        self.complete(&mut claims, &metadata, tokens.access_token.as_deref()).await?;
        self.admit(&claims.others)?;
        let name = name(&claims.others);
        Ok(ProviderUser { identity: Identity { issuer: issuer.clone(), subject: claims.sub }, name })
    }
}

fn unavailable(what: &str, error: BoxError) -> IdentityError {
    IdentityError::Unavailable(format!("{what}: {}", vocalizer_api::causes::chain(error.as_ref())).into())
}

/// Returns what the user is called: the name for sign-ins there, or the local part of the e-mail address.
fn name(claims: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let local = || text("email").and_then(|email| email.split('@').next());
    text("preferred_username").or_else(local).or_else(|| text("name")).map(str::to_owned)
}

/// Returns whether the e-mail address is verified, and in one of the domains. Some providers write the mark as text.
fn is_in_domain(claims: &Map<String, Value>, domains: &[String]) -> bool {
    let is_verified = claims.get("email_verified").is_some_and(|mark| *mark == Value::Bool(true) || *mark == "true");
    let email = claims.get("email").and_then(Value::as_str).unwrap_or_default();
    let domain = email.rsplit_once('@').map(|(_, domain)| domain);
    is_verified && domain.is_some_and(|domain| domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain)))
}

fn has_claim(claims: &Map<String, Value>, rule: &ClaimRule) -> bool {
    let is_it = |value: &Value| match value {
        Value::String(text) => *text == rule.value,
        Value::Bool(_) | Value::Number(_) => {
            serde_json::from_str(&rule.value).is_ok_and(|wanted: Value| wanted == *value)
        }
        _ => false,
    };
    match claims.get(&rule.name) {
        Some(Value::Array(values)) => values.iter().any(is_it),
        Some(value) => is_it(value),
        None => false,
    }
}
