//! The OpenID Connect provider of a server, against a fake provider. The service's tests use a real one.

mod fake;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use url::Url;
use vocalizer_client::Secret;
use vocalizer_client::oidc::OidcProvider;
use vocalizer_core::ports::{IdentityError, IdentityProvider as _, ProviderUser, SignInAttempt};

use self::fake::{Fake, Key, unsigned};
use super::canned::header;

const NOW_S: i64 = 1_800_000_000;

fn attempt() -> SignInAttempt {
    SignInAttempt { state: "a".repeat(64).into(), nonce: "b".repeat(64).into(), code_verifier: "c".repeat(64).into() }
}

/// The claims of a right token.
fn claims(fake: &Fake) -> Value {
    json!({
        "iss": fake.issuer, "sub": "17", "aud": "vocalizer", "exp": NOW_S + 300, "iat": NOW_S, "nonce": "b".repeat(64),
        "preferred_username": "ada",
    })
}

/// The claims with others.
fn with(fake: &Fake, changes: &Value) -> Value {
    let mut claims = claims(fake);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

async fn identify(provider: &OidcProvider) -> Result<ProviderUser, IdentityError> {
    let now = OffsetDateTime::from_unix_timestamp(NOW_S).unwrap();
    provider.identify(&Secret::new("a code".to_owned()), &attempt(), now).await
}

/// Asserts that the token is refused and returns the reason.
async fn refused(provider: &OidcProvider, fake: &Fake, token: &str) -> String {
    fake.issue(token);
    match identify(provider).await {
        Err(IdentityError::Invalid(reason)) => reason.to_string(),
        other => panic!("{token}: {other:?}"),
    }
}

#[tokio::test]
async fn code_is_redeemed_with_secret_and_verifier() {
    let (fake, key) = (Fake::start().await, Key::new("one"));
    let mut settings = fake.settings();
    settings.client_secret = Some(Secret::new("a secret: 100 %".to_owned()));
    let provider = OidcProvider::new(settings).unwrap();
    let url = Url::parse(&provider.authorization_url(&attempt()).await.unwrap()).unwrap();
    let parameters: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((url.path(), parameters["tenant"].as_str()), ("/auth", "1"));
    assert_eq!(parameters["state"], "a".repeat(64));
    assert_eq!(parameters["nonce"], "b".repeat(64));
    assert_eq!(parameters["code_challenge"], URL_SAFE_NO_PAD.encode(Sha256::digest("c".repeat(64))));
    assert!(!url.as_str().contains("secret"), "{url}");

    fake.publish(&[key.jwk()]);
    fake.issue(&key.token(&claims(&fake)));
    let user = identify(&provider).await.unwrap();
    assert_eq!((user.identity.issuer, user.identity.subject.as_str()), (fake.issuer.clone(), "17"));
    assert_eq!(user.name.as_deref(), Some("ada"));
    let request = fake.requests("/token").remove(0);
    // The parts are encoded before they are joined, as in RFC 6749.
    let expected = format!("Basic {}", STANDARD.encode("vocalizer:a+secret%3A+100+%25"));
    assert_eq!(header(&request, "authorization"), Some(expected));
    let body = request.split("\r\n\r\n").nth(1).unwrap();
    let form: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(form["code_verifier"], "c".repeat(64));
    assert_eq!((form["code"].as_str(), form["grant_type"].as_str()), ("a code", "authorization_code"));
    assert_eq!(form["redirect_uri"], "https://songs.example.org/auth/oidc/callback");
    assert!(!form.contains_key("client_secret"));
    // Described once.
    identify(&provider).await.unwrap();
    assert_eq!((fake.requests("/.well-known/openid-configuration").len(), fake.requests("/jwks").len()), (1, 1));

    // Without a secret, and with one that goes into the form.
    let public = OidcProvider::new(fake.settings()).unwrap();
    identify(&public).await.unwrap();
    let request = fake.requests("/token").pop().unwrap();
    assert!(header(&request, "authorization").is_none() && request.ends_with("&client_id=vocalizer"), "{request}");
    let mut metadata = fake.metadata();
    metadata["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "client_secret_post"]);
    fake.respond("/.well-known/openid-configuration", 200, metadata);
    let mut settings = fake.settings();
    settings.client_secret = Some(Secret::new("secret".to_owned()));
    identify(&OidcProvider::new(settings).unwrap()).await.unwrap();
    let request = fake.requests("/token").pop().unwrap();
    assert!(request.ends_with("&client_id=vocalizer&client_secret=secret"), "{request}");
}

#[tokio::test]
async fn token_with_wrong_claims_is_refused() {
    let (fake, key) = (Fake::start().await, Key::new("one"));
    fake.publish(&[key.jwk()]);
    let provider = OidcProvider::new(fake.settings()).unwrap();
    for (changes, reason) in [
        (json!({"iss": "https://id.example.net"}), "another issuer"),
        (json!({"iss": format!("{}/", fake.issuer)}), "another issuer"),
        (json!({"iss": null}), "claim"),
        (json!({"aud": "other"}), "another client"),
        (json!({"aud": ["other", "another"]}), "another client"),
        (json!({"aud": []}), "another client"),
        (json!({"aud": null}), "claim"),
        // Of several audiences, it must have been issued to this one.
        (json!({"aud": ["vocalizer", "other"]}), "another client"),
        (json!({"aud": ["vocalizer", "other"], "azp": "other"}), "another client"),
        (json!({"azp": "other"}), "another client"),
        (json!({"exp": NOW_S - 61}), "expired"),
        (json!({"exp": (NOW_S + 300).to_string()}), "claim"),
        (json!({"exp": null}), "claim"),
        (json!({"iat": NOW_S + 61}), "expired"),
        (json!({"iat": NOW_S - 601, "exp": NOW_S + 3600}), "expired"),
        (json!({"iat": null}), "claim"),
        (json!({"nbf": NOW_S + 61}), "expired"),
        (json!({"nonce": "d".repeat(64)}), "another sign-in"),
        (json!({"nonce": null}), "another sign-in"),
        (json!({"sub": ""}), "subject"),
        (json!({"sub": "x".repeat(256)}), "subject"),
        (json!({"sub": "1\u{0}7"}), "subject"),
        (json!({"sub": 17}), "claim"),
        (json!({"sub": null}), "claim"),
    ] {
        let found = refused(&provider, &fake, &key.token(&with(&fake, &changes))).await;
        assert!(found.contains(reason), "{changes}: {found}");
    }
    for changes in [
        json!({"exp": NOW_S - 59, "iat": NOW_S - 400}),
        json!({"iat": NOW_S + 59}),
        json!({"aud": ["vocalizer"]}),
        json!({"aud": ["vocalizer", "other"], "azp": "vocalizer"}),
        json!({"exp": NOW_S as f64 + 0.5}),
    ] {
        fake.issue(&key.token(&with(&fake, &changes)));
        assert!(identify(&provider).await.is_ok(), "{changes}");
    }
}

#[tokio::test]
async fn token_without_right_signature_is_refused() {
    let (fake, key, other) = (Fake::start().await, Key::new("one"), Key::new("one"));
    let encryption = json!({"kid": "encryption", "use": "enc", "alg": "ES256"});
    let mut encryption_key = Key::new("encryption").jwk();
    encryption_key.as_object_mut().unwrap().extend(encryption.as_object().unwrap().clone());
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "secret"});
    fake.publish(&[json!({"kty": "?"}), key.jwk(), encryption_key, secret]);
    let provider = OidcProvider::new(fake.settings()).unwrap();
    let claims = claims(&fake);
    let right = key.token(&claims);

    for alg in ["none", "None", "NONE"] {
        let text = unsigned(&json!({"alg": alg, "kid": "one"}), &claims);
        for token in [format!("{text}."), text.clone(), format!("{text}.{}", right.rsplit('.').next().unwrap())] {
            let found = refused(&provider, &fake, &token).await;
            assert!(found.contains("unsigned"), "{token}: {found}");
        }
    }
    // HMAC with what everyone knows as the secret: the public key in each of its forms, or a published secret.
    let public = [key.public().to_vec(), key.jwk().to_string().into_bytes(), key.jwk()["x"].to_string().into_bytes()];
    for secret in public.into_iter().chain([b"secret".to_vec()]) {
        for kid in [json!("one"), json!("secret"), Value::Null] {
            let mut header = json!({"alg": "HS256"});
            if kid.is_string() {
                header["kid"] = kid;
            }
            let text = unsigned(&header, &claims);
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
            mac.update(text.as_bytes());
            let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
            let found = refused(&provider, &fake, &token).await;
            assert!(found.contains("algorithm"), "{found}");
        }
    }
    // Another key with the same name, and changed claims under the right signature.
    assert!(refused(&provider, &fake, &other.token(&claims)).await.contains("signature"));
    let (head, rest) = right.split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    let changed = URL_SAFE_NO_PAD.encode(with(&fake, &json!({"sub": "18"})).to_string());
    assert!(refused(&provider, &fake, &format!("{head}.{changed}.{signature}")).await.contains("signature"));
    // A key that the token brings itself, one for encryption, and an algorithm that the key is not for.
    let brought = json!({"alg": "ES256", "kid": "one", "jwk": other.jwk()});
    assert!(refused(&provider, &fake, &other.token_with(&brought, &claims)).await.contains("signature"));
    for header in [json!({"alg": "ES256", "kid": "encryption"}), json!({"alg": "RS256", "kid": "one"})] {
        assert!(refused(&provider, &fake, &key.token_with(&header, &claims)).await.contains("unknown key"), "{header}");
    }
    let critical = json!({"alg": "ES256", "kid": "one", "crit": ["exp"], "exp": 1});
    refused(&provider, &fake, &key.token_with(&critical, &claims)).await;
    for damaged in ["", ".", "..", "a.b.c", &right[..right.len() / 2], &format!("{right}.x")] {
        refused(&provider, &fake, damaged).await;
    }
    // Without a name, every key is tried.
    fake.issue(&key.token_with(&json!({"alg": "ES256"}), &claims));
    assert!(identify(&provider).await.is_ok());
}

#[tokio::test]
async fn new_key_is_fetched_but_not_at_every_unknown_one() {
    let (fake, old, new) = (Fake::start().await, Key::new("old"), Key::new("new"));
    fake.publish(&[old.jwk()]);
    let mut settings = fake.settings();
    settings.key_interval = Duration::ZERO;
    let provider = OidcProvider::new(settings).unwrap();
    fake.issue(&old.token(&claims(&fake)));
    identify(&provider).await.unwrap();
    fake.publish(&[old.jwk(), new.jwk()]);
    fake.issue(&new.token(&claims(&fake)));
    identify(&provider).await.unwrap();
    fake.issue(&old.token(&claims(&fake)));
    identify(&provider).await.unwrap();
    assert_eq!(fake.requests("/jwks").len(), 2);

    // The interval is longer than the test.
    let mut settings = fake.settings();
    settings.key_interval = Duration::from_secs(3600);
    let provider = OidcProvider::new(settings).unwrap();
    identify(&provider).await.unwrap();
    for _ in 0..5 {
        let found = refused(&provider, &fake, &Key::new("unknown").token(&claims(&fake))).await;
        assert!(found.contains("unknown key"), "{found}");
    }
    assert_eq!(fake.requests("/jwks").len(), 3);
}

#[tokio::test]
async fn wrong_description_is_refused() {
    let fake = Fake::start().await;
    let described = |change: (&str, Value)| {
        let mut metadata = fake.metadata();
        metadata[change.0] = change.1;
        metadata
    };
    for (status, metadata, reason) in [
        (200, described(("issuer", json!("https://id.example.net"))), "calls itself https://id.example.net"),
        (200, described(("token_endpoint", json!("http://id.example.net/token"))), "has no TLS"),
        (200, described(("jwks_uri", json!("file:///etc/passwd"))), "has no TLS"),
        (200, described(("authorization_endpoint", json!("javascript:alert(1)"))), "has no TLS"),
        (200, json!({"issuer": fake.issuer}), "missing field"),
        (200, json!("x".repeat(600 * 1024)), "more than"),
        // No redirect is followed.
        (302, fake.metadata(), "status 302"),
        (404, fake.metadata(), "status 404"),
        (500, fake.metadata(), "status 500"),
    ] {
        fake.respond("/.well-known/openid-configuration", status, metadata);
        let provider = OidcProvider::new(fake.settings()).unwrap();
        let Err(IdentityError::Unavailable(found)) = provider.authorization_url(&attempt()).await else {
            panic!("accepted: {reason}")
        };
        assert!(found.to_string().contains(reason), "{found}");
        // The failure is reported again, without another request.
        let requests = fake.requests("/.well-known/openid-configuration").len();
        assert!(provider.authorization_url(&attempt()).await.is_err());
        assert_eq!(fake.requests("/.well-known/openid-configuration").len(), requests);
    }
    assert!(fake.requests("/elsewhere").is_empty());
}

#[tokio::test]
async fn user_info_completes_the_token_of_the_same_person() {
    let (fake, key) = (Fake::start().await, Key::new("one"));
    fake.publish(&[key.jwk()]);
    fake.issue(&key.token(&with(&fake, &json!({"preferred_username": null, "groups": ["staff"]}))));
    let mut settings = fake.settings();
    settings.allowed_domains = vec!["example.org".to_owned()];
    settings.claim_rule = Some("groups=staff".parse().unwrap());
    let provider = OidcProvider::new(settings).unwrap();
    // The token's own claims have priority.
    let info = json!({"sub": "17", "email": "ada@example.org", "email_verified": "true", "groups": ["others"]});
    fake.respond("/userinfo", 200, info.clone());
    assert_eq!(identify(&provider).await.unwrap().name.as_deref(), Some("ada"));
    assert_eq!(header(&fake.requests("/userinfo")[0], "authorization").as_deref(), Some("Bearer access"));
    for (change, value) in [("email_verified", Value::Null), ("email", json!("ada@example.net"))] {
        let mut info = info.clone();
        info[change] = value;
        fake.respond("/userinfo", 200, info);
        assert!(matches!(identify(&provider).await, Err(IdentityError::NotAdmitted(_))), "{change}");
    }
    // An address of the token that it does not call verified is not verified by an answer about another address, or about none.
    fake.issue(
        &key.token(&with(&fake, &json!({"email": "eve@example.org", "email_verified": null, "groups": ["staff"]}))),
    );
    let mut elsewhere = info.clone();
    elsewhere["email"] = json!("ada@example.net");
    fake.respond("/userinfo", 200, elsewhere);
    assert!(matches!(identify(&provider).await, Err(IdentityError::NotAdmitted(_))));
    fake.respond("/userinfo", 200, info.clone());
    assert!(identify(&provider).await.is_ok());
    fake.issue(&key.token(&with(&fake, &json!({"email": null, "email_verified": true, "groups": ["staff"]}))));
    fake.respond("/userinfo", 200, json!({"sub": "17", "email": "eve@example.org"}));
    assert!(matches!(identify(&provider).await, Err(IdentityError::NotAdmitted(_))));
    fake.issue(&key.token(&with(&fake, &json!({"preferred_username": null, "groups": ["staff"]}))));
    let mut other = info;
    other["sub"] = json!("18");
    fake.respond("/userinfo", 200, other);
    assert!(matches!(identify(&provider).await, Err(IdentityError::Invalid(_))));
    fake.respond("/userinfo", 503, Value::Null);
    assert!(matches!(identify(&provider).await, Err(IdentityError::Unavailable(_))));
}

#[tokio::test]
async fn faults_of_the_server_are_not_those_of_the_person() {
    let (fake, key) = (Fake::start().await, Key::new("one"));
    fake.publish(&[key.jwk()]);
    let provider = OidcProvider::new(fake.settings()).unwrap();
    fake.respond("/token", 400, json!({"error": "invalid_grant"}));
    assert!(matches!(identify(&provider).await, Err(IdentityError::Invalid(_))));
    // What the operator has to correct.
    for status in [400, 401] {
        fake.respond("/token", status, json!({"error": "invalid_client"}));
        assert!(matches!(identify(&provider).await, Err(IdentityError::Refused(_))));
    }
    for (status, answer) in [(400, json!({"error": "invalid_request"})), (502, json!([]))] {
        fake.respond("/token", status, answer);
        let found = identify(&provider).await;
        assert!(matches!(found, Err(IdentityError::Unavailable(_))), "{status}: {found:?}");
    }
    fake.respond("/token", 200, json!({"access_token": "access"}));
    assert!(matches!(identify(&provider).await, Err(IdentityError::Invalid(_))));
}

#[tokio::test]
async fn sign_out_at_the_provider_is_an_option() {
    let fake = Fake::start().await;
    let mut metadata = fake.metadata();
    metadata["end_session_endpoint"] = json!(format!("{}/logout?tenant=1", fake.issuer));
    fake.respond("/.well-known/openid-configuration", 200, metadata.clone());
    let mut settings = fake.settings();
    let provider = OidcProvider::new(settings.clone()).unwrap();
    assert_eq!((provider.ends_sessions(), provider.end_session_url().await.unwrap()), (false, None));

    settings.logout_redirect_uri = Some("https://songs.example.org/".to_owned());
    let provider = OidcProvider::new(settings.clone()).unwrap();
    assert!(provider.ends_sessions());
    let url = provider.end_session_url().await.unwrap().unwrap();
    let expected = "/logout?tenant=1&client_id=vocalizer&post_logout_redirect_uri=https%3A%2F%2Fsongs.example.org%2F";
    assert_eq!(url, format!("{}{expected}", fake.issuer));

    // A provider without such an address, and with one that everyone could read: users still sign in.
    for unusable in [Value::Null, json!("http://id.example.org/logout")] {
        metadata["end_session_endpoint"] = unusable;
        fake.respond("/.well-known/openid-configuration", 200, metadata.clone());
        let provider = OidcProvider::new(settings.clone()).unwrap();
        assert_eq!(provider.end_session_url().await.unwrap(), None);
        provider.authorization_url(&attempt()).await.unwrap();
    }
}
