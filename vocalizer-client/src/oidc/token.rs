//! Checking ID tokens.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;
use vocalizer_core::account::Identity;

use super::ring_verifier;

/// The accepted algorithms: public-key signatures only. With HMAC, the public key could be used as the secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// How far the provider's clock may be from ours.
const LEEWAY_S: f64 = 60.0;

/// How old a token may be. It comes directly from the provider, which has just made it.
const MAX_AGE_S: f64 = 10.0 * 60.0;

/// Most keys that are tried for a token that names none.
const MAX_TRIED_KEYS: usize = 16;

/// What a token must say.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_s: i64,
}

/// Why a token is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum TokenError {
    #[error("the ID token is malformed, unsigned or has an algorithm that is not accepted")]
    Header,
    #[error("the ID token is signed with an unknown key")]
    UnknownKey,
    #[error("the signature of the ID token is wrong")]
    Signature,
    #[error("a claim of the ID token is missing or has the wrong type")]
    Claims,
    #[error("the ID token is of another issuer")]
    Issuer,
    #[error("the ID token is for another client")]
    Audience,
    #[error("the ID token has expired, or its time is not now; is a clock wrong?")]
    Time,
    #[error("the ID token is for another sign-in")]
    Nonce,
    #[error("the subject of the ID token is empty, too long or has control characters")]
    Subject,
}

/// The claims of a token.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    /// All others.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Checks a token's signature and claims.
pub(super) fn check(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, TokenError> {
    let claims = verify(token, keys)?;
    if claims.iss != expected.issuer {
        return Err(TokenError::Issuer);
    }
    let audience: &[String] = match &claims.aud {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Several(several) => several,
    };
    let is_for_us = |client: &String| client == expected.client_id;
    // With several audiences, it says to which of them it was issued.
    let is_issued_to_us = claims.azp.as_ref().map_or(audience.len() == 1, is_for_us);
    if !audience.iter().any(is_for_us) || !is_issued_to_us {
        return Err(TokenError::Audience);
    }
    let now_s = expected.now_s as f64;
    let is_timely = claims.exp + LEEWAY_S > now_s
        && claims.iat - LEEWAY_S <= now_s
        && claims.iat + MAX_AGE_S > now_s
        && claims.nbf.is_none_or(|from| from - LEEWAY_S <= now_s);
    if !is_timely {
        return Err(TokenError::Time);
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(TokenError::Nonce);
    }
    let is_subject = (1..=Identity::MAX_SUBJECT_BYTES).contains(&claims.sub.len());
    if !is_subject || claims.sub.contains(char::is_control) {
        return Err(TokenError::Subject);
    }
    Ok(claims)
}

/// Verifies the signature.
fn verify(token: &str, keys: &[Jwk]) -> Result<Claims, TokenError> {
    ring_verifier::install();
    let header = decode_header(token).map_err(|_| TokenError::Header)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(TokenError::Header);
    }
    let fits = |key: &&Jwk| {
        let common = &key.common;
        let is_named = header.kid.is_none() || common.key_id == header.kid;
        let is_for_signatures = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
        let is_public = !matches!(key.algorithm, AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_));
        is_named
            && is_for_signatures
            && is_public
            && common.key_algorithm.is_none_or(|of| of == KeyAlgorithm::from(header.alg))
    };
    let mut validation = Validation::new(header.alg);
    // Claims are checked below: by the service's clock, and more strictly.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let mut refused = TokenError::UnknownKey;
    for key in keys.iter().filter(fits).take(MAX_TRIED_KEYS) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(_) => return read(token, &key, &validation),
            Err(_) => refused = TokenError::Signature,
        }
    }
    Err(refused)
}

fn read(token: &str, key: &DecodingKey, validation: &Validation) -> Result<Claims, TokenError> {
    decode(token, key, validation).map(|token| token.claims).map_err(|_| TokenError::Claims)
}
