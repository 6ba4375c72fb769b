//! A provider whose responses a test chooses, and keys to sign tokens with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vocalizer_client::oidc::OidcSettings;

/// Responses by path: a status and a body.
type Responses = Arc<Mutex<BTreeMap<&'static str, (u16, Value)>>>;

pub(super) struct Fake {
    pub(super) issuer: String,
    responses: Responses,
    /// The requests, as text.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { issuer, responses: Responses::default(), requests: Arc::default() };
        fake.respond("/.well-known/openid-configuration", 200, fake.metadata());
        let (responses, requests) = (Arc::clone(&fake.responses), Arc::clone(&fake.requests));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                requests.lock().unwrap().push(request);
                let found = responses.lock().unwrap().get(path.as_str()).cloned();
                let (status, body) = found.unwrap_or((404, Value::Null));
                let (body, location) = (body.to_string(), "Location: /elsewhere\r\n");
                let head = format!(
                    "HTTP/1.1 {status} x\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        fake
    }

    pub(super) fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer, "authorization_endpoint": at("/auth?tenant=1"), "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"), "userinfo_endpoint": at("/userinfo"),
        })
    }

    pub(super) fn respond(&self, path: &'static str, status: u16, body: Value) {
        self.responses.lock().unwrap().insert(path, (status, body));
    }

    /// Publishes keys.
    pub(super) fn publish(&self, keys: &[Value]) {
        self.respond("/jwks", 200, json!({"keys": keys}));
    }

    /// Returns this token for every code.
    pub(super) fn issue(&self, token: &str) {
        self.respond("/token", 200, json!({"id_token": token, "access_token": "access", "token_type": "Bearer"}));
    }

    /// Returns the requests for a path.
    pub(super) fn requests(&self, path: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.split(' ').nth(1) == Some(path)).cloned().collect()
    }

    pub(super) fn settings(&self) -> OidcSettings {
        OidcSettings::new(&self.issuer, "vocalizer", "https://songs.example.org/auth/oidc/callback")
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                super::super::canned::header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        let mut block = [0; 4096];
        match stream.read(&mut block).await {
            Ok(len @ 1..) => request.extend_from_slice(&block[..len]),
            _ => return text,
        }
    }
}

/// A key for ES256.
pub(super) struct Key {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Key {
    pub(super) fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { pair, id }
    }

    /// The public key, in the form of an EC point.
    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(super) fn jwk(&self) -> Value {
        let (x, y) = self.public()[1..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": self.id, "use": "sig", "alg": "ES256"})
    }

    /// Returns a token with these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": "ES256", "typ": "JWT", "kid": self.id}), claims)
    }

    pub(super) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Returns the part of a token that is signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}
