use std::fs;
use std::time::{Duration, Instant};

use vocalizer_core::causes::chain;
use vocalizer_core::ports::{BlobKey, BlobStore};
use vocalizer_core::song::SongHash;
use vocalizer_store::s3::{S3Error, S3Settings};

use super::server::{Fault, SECRET, Server, bytes, get, put};

const SHORT: Duration = Duration::from_millis(300);

/// The variables of a server, with one changed or added.
fn with(server: &Server, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut variables = server.variables();
    variables.retain(|(known, _)| *known != name);
    variables.push((name, value.to_owned()));
    variables
}

async fn open_error(server: &Server, url: &str, variables: Vec<(&'static str, String)>) -> S3Error {
    let settings = S3Settings::parse(url, variables).unwrap();
    server.open(settings.with_patience(SHORT)).await.unwrap_err()
}

#[tokio::test]
async fn missing_bucket_is_named() {
    let server = Server::start();
    let error = open_error(&server, "s3://stems/of/tests", server.variables()).await;
    assert!(matches!(&error, S3Error::BucketMissing { bucket } if bucket == "stems"), "{error:?}");
    assert_eq!(chain(&error), "the bucket stems does not exist; create it first");
}

#[tokio::test]
async fn wrong_credentials_are_rejected() {
    let server = Server::start();
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"] {
        let error = open_error(&server, "s3://songs", with(&server, name, "other-value")).await;
        assert!(matches!(error, S3Error::CredentialsRefused { .. }), "{error:?}");
        let message = chain(&error);
        assert!(message.starts_with("the credentials give no access to the bucket songs: "), "{message}");
        assert!(!message.contains("other-value"), "{message}");
    }
    server.set_faults(|_, _| Fault::Error(400, "ExpiredToken"));
    let error = open_error(&server, "s3://songs", server.variables()).await;
    assert!(matches!(error, S3Error::CredentialsRefused { .. }), "{error:?}");
}

#[tokio::test]
async fn missing_credentials_are_reported() {
    let server = Server::start();
    let token = server.work().join("token");
    fs::write(&token, "token").unwrap();
    let variables = vec![
        ("AWS_ENDPOINT_URL", server.variables()[0].1.clone()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        // Set but empty: ignored.
        ("AWS_ACCESS_KEY_ID", String::new()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", closed_address()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap().to_owned()),
    ];
    let error = open_error(&server, "s3://songs", variables).await;
    assert!(matches!(error, S3Error::CredentialsMissing(_)), "{error:?}");
    assert!(server.requests().is_empty(), "no request may be sent without credentials");
}

/// Returns an address without a listener.
fn closed_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn stopped_endpoint_is_unreachable() {
    let server = Server::start();
    let began = Instant::now();
    let closed_address = closed_address();
    let error = open_error(&server, "s3://songs", with(&server, "AWS_ENDPOINT_URL_S3", &closed_address)).await;
    assert!(matches!(error, S3Error::Unreachable { .. }), "{error:?}");
    let message = chain(&error);
    assert!(
        message.starts_with(&closed_address) && message.contains("cannot be reached") && message.contains("refused"),
        "{message}"
    );
    assert!(began.elapsed() < Duration::from_secs(5), "retries take too long: {:?}", began.elapsed());
}

#[tokio::test]
async fn endpoint_errors_are_classified() {
    let server = Server::start();
    for (status, code, is_so) in [
        (301, "PermanentRedirect", (|error| matches!(error, S3Error::Region { .. })) as fn(&S3Error) -> bool),
        (400, "AuthorizationHeaderMalformed", |error| matches!(error, S3Error::Region { .. })),
        (403, "AccessDenied", |error| matches!(error, S3Error::CredentialsRefused { .. })),
        (404, "NoSuchBucket", |error| matches!(error, S3Error::BucketMissing { .. })),
        (404, "NoSuchPage", |error| matches!(error, S3Error::Unavailable { .. })),
        (503, "SlowDown", |error| matches!(error, S3Error::Unavailable { .. })),
    ] {
        server.set_faults(move |_, _| Fault::Error(status, code));
        let error = open_error(&server, "s3://songs", server.variables()).await;
        assert!(is_so(&error), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn web_page_is_rejected() {
    let server = Server::start();
    server.set_faults(|_, _| Fault::Page);
    let error = open_error(&server, "s3://songs", server.variables()).await;
    assert!(matches!(error, S3Error::Unavailable { .. }), "{error:?}");
    assert_eq!(chain(&error), "cannot use the bucket songs: received a web page instead of a list");
}

#[tokio::test]
async fn endpoint_without_tls_is_unreachable_over_https() {
    let server = Server::start();
    let encrypted = server.variables()[0].1.replace("http:", "https:");
    let error = open_error(&server, "s3://songs", with(&server, "AWS_ENDPOINT_URL", &encrypted)).await;
    // Without trusted certificates on the machine, the TLS setup itself fails.
    assert!(matches!(error, S3Error::Unreachable { .. } | S3Error::Setup(_)), "{error:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn unusable_work_folder_is_named() {
    let server = Server::start();
    let file = server.work().join("file");
    fs::write(&file, "").unwrap();
    let settings = S3Settings::parse("s3://songs", server.variables()).unwrap();
    let error = vocalizer_store::s3::S3Blobs::open(settings, &file).await.unwrap_err();
    assert!(matches!(&error, S3Error::WorkDir { path, .. } if path.starts_with(&file)), "{error:?}");
}

#[tokio::test]
async fn bucket_works_with_and_without_a_prefix() {
    let server = Server::start();
    let key = BlobKey::Source(SongHash::of(b"a"));
    for (seed, url) in (0..).zip(["s3://songs", "s3://songs/", "s3://songs/a", "s3://songs/a/b/"]) {
        let blobs = server.open(S3Settings::parse(url, server.variables()).unwrap()).await.unwrap();
        put(&blobs, &key, &bytes(100, seed)).await;
        assert_eq!(get(&blobs, &key).await, Some(bytes(100, seed)), "{url}");
        assert_eq!(blobs.hashes().await.unwrap(), [*key.hash()], "{url}");
    }
    let exists = |at: &str| server.root().join("songs").join(at).join(key.to_string()).is_file();
    assert!(["", "a", "a/b"].into_iter().all(exists));
    let outermost = server.open(S3Settings::parse("s3://songs", server.variables()).unwrap()).await.unwrap();
    outermost.delete_all(key.hash()).await.unwrap();
    assert!(!exists("") && exists("a") && exists("a/b"), "blobs of other prefixes were deleted");
}

#[test]
fn invalid_addresses_are_rejected() {
    for url in [
        "",
        "songs",
        "s3:songs",
        "s3://",
        "s3:///prefix",
        "S3://songs",
        "https://s3.amazonaws.com/songs",
        "s3://key:secret@songs/prefix",
        "s3://songs:9000/prefix",
        "s3://songs?region=x",
        "s3://songs/prefix?region=x",
        "s3://songs/prefix#x",
        "s3://songs//prefix",
        "s3://songs/a/../b",
        "s3://so ngs",
    ] {
        let error = S3Settings::parse(url, [("", "")]).unwrap_err();
        assert!(matches!(error, S3Error::Url { .. }), "{url:?}: {error:?}");
        assert!(!error.to_string().contains("secret@"), "{error}");
    }
}

#[test]
fn invalid_variables_are_rejected() {
    for (variables, wrong) in [
        (&[("AWS_ACCESS_KEY_ID", "x")][..], "AWS_SECRET_ACCESS_KEY"),
        (&[("AWS_SECRET_ACCESS_KEY", "x")], "AWS_ACCESS_KEY_ID"),
        (&[("AWS_ENDPOINT_URL", "http://localhost:9000")], "AWS_ALLOW_HTTP"),
        (&[("AWS_ENDPOINT_URL", "http://localhost:9000"), ("AWS_ALLOW_HTTP", "maybe")], "AWS_ALLOW_HTTP"),
        (&[("AWS_ENDPOINT_URL", "localhost:9000")], "AWS_ENDPOINT_URL"),
        (&[("AWS_ENDPOINT_URL", "nonsense")], "AWS_ENDPOINT_URL"),
        (&[("AWS_ENDPOINT_URL", "https://x:secret@localhost")], "AWS_ENDPOINT_URL"),
        (&[("AWS_ENDPOINT_URL_S3", "https://localhost?x")], "AWS_ENDPOINT_URL_S3"),
    ] {
        let error = S3Settings::parse("s3://songs", variables.iter().copied()).unwrap_err();
        assert!(matches!(error, S3Error::Variable { name, .. } if name == wrong), "{variables:?}: {error:?}");
        assert!(!error.to_string().contains("secret@"), "{error}");
    }
}

#[tokio::test]
async fn debug_hides_the_credentials() {
    let server = Server::start();
    let variables = with(&server, "AWS_SESSION_TOKEN", "session-token");
    let settings = S3Settings::parse("s3://songs/of/tests", variables).unwrap();
    let blobs = server.open(S3Settings::parse("s3://songs/of/tests", server.variables()).unwrap()).await.unwrap();
    for message in [format!("{settings:?}"), format!("{blobs:?}")] {
        assert!(message.contains("songs") && message.contains("of/tests"), "{message}");
        assert!(!message.contains(SECRET) && !message.contains("session-token"), "{message}");
    }
}

#[tokio::test]
async fn first_installation_owns_the_bucket() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    assert_eq!(blobs.claim("one").await.unwrap(), "one");
    assert_eq!(blobs.claim("other").await.unwrap(), "one");
    put(&blobs, &BlobKey::Source(SongHash::of(b"a")), &bytes(1, 1)).await;
    assert_eq!(blobs.hashes().await.unwrap(), [SongHash::of(b"a")]);
    blobs.adopt("other").await.unwrap();
    assert_eq!(blobs.claim("one").await.unwrap(), "other");
}
