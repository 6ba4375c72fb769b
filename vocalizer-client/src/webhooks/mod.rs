//! Webhooks: verifying what a server delivers, and the calls that manage them.
//!
//! Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com): the header `webhook-signature` has the
//! HMAC-SHA-256 of the ID, the time and the body of the request, with the webhook's secret as key. [`verify`] checks it.

#[cfg(feature = "webhook-sender")]
mod addresses;
mod calls;
#[cfg(feature = "webhook-sender")]
mod sender;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderMap;
use sha2::Sha256;
use thiserror::Error;
use vocalizer_api::WebhookPayload;
use vocalizer_api::secret::Secret;

pub use calls::NewWebhook;
#[cfg(feature = "webhook-sender")]
pub use sender::HttpWebhooks;

/// The header with the ID of the delivery.
pub const ID_HEADER: &str = "webhook-id";

/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The tolerance that Standard Webhooks recommends: five minutes.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What a secret starts with.
const SECRET_PREFIX: &str = "whsec_";

/// What a signature of this kind starts with.
const VERSION: &str = "v1,";

/// Shortest key, in bytes, as Standard Webhooks requires. An empty one would accept everything.
const MIN_KEY_BYTES: usize = 24;

/// Most signatures that are compared.
const MAX_SIGNATURES: usize = 16;

/// The secret is not one of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid secret: expected whsec_ and the base64 of at least {MIN_KEY_BYTES} bytes")]
pub struct InvalidSecret;

/// Why a request is not a delivery of the webhook.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The secret is invalid.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// A header is missing, repeated or malformed.
    #[error("the header {name} is missing or invalid")]
    #[non_exhaustive]
    Header {
        /// The name.
        name: &'static str,
    },
    /// The request was signed too long ago, or in the future: it may be a repeat by someone else, or a clock is wrong.
    #[error("the request was signed {seconds} s before or after the current time")]
    #[non_exhaustive]
    OutsideTolerance {
        /// The difference.
        seconds: u64,
    },
    /// No signature is right: the request has another sender, or was changed, or the secret belongs to another webhook.
    #[error("no signature of the request is right")]
    Signature,
    /// The request is signed, but its body is not a payload.
    #[error("the body is not the payload of a webhook")]
    Body(#[source] serde_json::Error),
}

/// Verifies a request to a webhook, and returns its payload.
///
/// Pass the body exactly as it was received. A request passes if any of its signatures is right. Deliveries are at least
/// once: remember the [ID](WebhookPayload::id) of those that you have processed for as long as their effects must not be
/// repeated. Answer with a status of 2xx, or the delivery is repeated.
///
/// ```
/// use std::time::SystemTime;
///
/// use vocalizer_client::reqwest::header::{HeaderMap, HeaderValue};
/// use vocalizer_client::webhooks::{TOLERANCE, verify};
/// use vocalizer_client::{Secret, WebhookEvent};
///
/// fn receive(secret: &Secret<String>, headers: &HeaderMap, body: &[u8]) -> u16 {
///     let payload = match verify(secret, headers, body, TOLERANCE) {
///         Ok(payload) => payload,
///         Err(error) => {
///             eprintln!("refused: {error}");
///             return 401;
///         }
///     };
///     if let (WebhookEvent::Split, Some(song)) = (payload.event, payload.data.song) {
///         println!("{} is split", song.title);
///     }
///     204
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // What a server sends; for the tests of a receiver.
/// let secret = Secret::new(format!("whsec_{}", "0f".repeat(32)));
/// let body = br#"{"id":"6f2c9a4e-2f0b-4d0a-9d4e-0d3a6c1f7b52","type":"ping","timestamp":"2026-11-30T12:00:00Z","data":{}}"#;
/// let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
/// let signature = vocalizer_client::webhooks::sign(&secret, "6f2c9a4e-2f0b-4d0a-9d4e-0d3a6c1f7b52", now_s, body)?;
/// let mut headers = HeaderMap::new();
/// headers.insert("webhook-id", HeaderValue::from_static("6f2c9a4e-2f0b-4d0a-9d4e-0d3a6c1f7b52"));
/// headers.insert("webhook-timestamp", now_s.into());
/// headers.insert("webhook-signature", signature.parse()?);
/// assert_eq!(receive(&secret, &headers, body), 204);
/// assert_eq!(receive(&secret, &headers, b"{}"), 401);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Any [`VerifyError`].
pub fn verify(
    secret: &Secret<String>,
    headers: &HeaderMap,
    body: &[u8],
    tolerance: Duration,
) -> Result<WebhookPayload, VerifyError> {
    let (id, timestamp) = (header(headers, ID_HEADER)?, header(headers, TIMESTAMP_HEADER)?);
    let signed_s: u64 = timestamp.parse().map_err(|_| VerifyError::Header { name: TIMESTAMP_HEADER })?;
    let mac = mac(secret, id, signed_s, body)?;
    let signatures = header(headers, SIGNATURE_HEADER)?.split(' ').filter_map(|one| one.strip_prefix(VERSION));
    let mut signatures = signatures.take(MAX_SIGNATURES).filter_map(|one| STANDARD.decode(one).ok());
    // Compares in constant time.
    if !signatures.any(|signature| mac.clone().verify_slice(&signature).is_ok()) {
        return Err(VerifyError::Signature);
    }
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = now_s.abs_diff(signed_s);
    if seconds > tolerance.as_secs() {
        return Err(VerifyError::OutsideTolerance { seconds });
    }
    serde_json::from_slice(body).map_err(VerifyError::Body)
}

/// Returns the value of `webhook-signature` for a request. Servers sign with it; it is public for the tests of receivers.
///
/// # Errors
///
/// [`InvalidSecret`].
pub fn sign(secret: &Secret<String>, id: &str, timestamp_s: u64, body: &[u8]) -> Result<String, InvalidSecret> {
    let signature = mac(secret, id, timestamp_s, body)?.finalize().into_bytes();
    Ok(format!("{VERSION}{}", STANDARD.encode(signature)))
}

fn mac(secret: &Secret<String>, id: &str, timestamp_s: u64, body: &[u8]) -> Result<Hmac<Sha256>, InvalidSecret> {
    let key = secret.expose().strip_prefix(SECRET_PREFIX).and_then(|text| STANDARD.decode(text).ok());
    let key = key.filter(|key| key.len() >= MIN_KEY_BYTES).ok_or(InvalidSecret)?;
    let mut mac = Hmac::new_from_slice(&key).map_err(|_| InvalidSecret)?;
    mac.update(format!("{id}.{timestamp_s}.").as_bytes());
    mac.update(body);
    Ok(mac)
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, VerifyError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(VerifyError::Header { name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret() -> Secret<String> {
        // The key and the signature are of the specification's own example.
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()
    }

    #[test]
    fn signature_matches_the_specification() {
        let signature = sign(&secret(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    fn now_s() -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    }

    fn verified(signed_s: u64, signature: &str, body: &[u8]) -> Result<WebhookPayload, VerifyError> {
        let mut headers = HeaderMap::new();
        headers.insert(ID_HEADER, "an-id".parse().unwrap());
        headers.insert(TIMESTAMP_HEADER, signed_s.into());
        headers.insert(SIGNATURE_HEADER, signature.parse().unwrap());
        verify(&secret(), &headers, body, TOLERANCE)
    }

    #[test]
    fn one_right_signature_of_several_is_enough() {
        let right = sign(&secret(), "an-id", now_s(), BODY).unwrap();
        let other: Secret<String> = format!("whsec_{}", "00ff".repeat(16)).into();
        let wrong = sign(&other, "an-id", now_s(), BODY).unwrap();
        for signatures in [right.clone(), format!("{wrong} {right}"), format!("v1a,x v1,? {right} {wrong}")] {
            // The signature is right; the body of the example is not ours.
            let result = verified(now_s(), &signatures, BODY);
            assert!(matches!(result, Err(VerifyError::Body(_))), "{signatures}: {result:?}");
        }
        for signatures in [wrong, String::new(), right.replace("v1,", "v2,"), right[..20].to_owned()] {
            let result = verified(now_s(), &signatures, BODY);
            assert!(matches!(result, Err(VerifyError::Signature)), "{signatures}: {result:?}");
        }
    }

    #[test]
    fn changed_body_id_and_time_are_refused() {
        let (now_s, id) = (now_s(), "an-id");
        let right = sign(&secret(), id, now_s, BODY).unwrap();
        assert!(matches!(verified(now_s, &right, b"{}"), Err(VerifyError::Signature)));
        assert!(matches!(verified(now_s + 1, &right, BODY), Err(VerifyError::Signature)));
        let of_other = sign(&secret(), "another", now_s, BODY).unwrap();
        assert!(matches!(verified(now_s, &of_other, BODY), Err(VerifyError::Signature)));
    }

    #[test]
    fn old_and_future_requests_are_refused() {
        for signed_s in [now_s() - 302, now_s() + 302, 0, u64::MAX] {
            let signature = sign(&secret(), "an-id", signed_s, BODY).unwrap();
            let result = verified(signed_s, &signature, BODY);
            assert!(matches!(result, Err(VerifyError::OutsideTolerance { seconds: 301.. })), "{signed_s}: {result:?}");
        }
    }

    #[test]
    fn missing_and_repeated_headers_are_refused() {
        let complete = || {
            let mut headers = HeaderMap::new();
            headers.insert(ID_HEADER, "an-id".parse().unwrap());
            headers.insert(TIMESTAMP_HEADER, "1".parse().unwrap());
            headers.insert(SIGNATURE_HEADER, "v1,".parse().unwrap());
            headers
        };
        for header in [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER] {
            let (mut missing, mut repeated) = (complete(), complete());
            missing.remove(header);
            repeated.append(header, "1".parse().unwrap());
            for headers in [missing, repeated] {
                let result = verify(&secret(), &headers, BODY, TOLERANCE);
                assert!(matches!(result, Err(VerifyError::Header { name }) if name == header), "{result:?}");
            }
        }
        let mut headers = complete();
        headers.insert(TIMESTAMP_HEADER, "-1".parse().unwrap());
        assert!(matches!(verify(&secret(), &headers, BODY, TOLERANCE), Err(VerifyError::Header { .. })));
    }

    #[test]
    fn secrets_without_a_key_are_refused() {
        for wrong in ["", "whsec_", "whsec_AAAA", "whsec_?", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(sign(&wrong.into(), "an-id", 0, BODY), Err(InvalidSecret), "{wrong}");
        }
    }
}
