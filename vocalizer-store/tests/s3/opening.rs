use std::fs;
use std::time::{Duration, Instant};

use vocalizer_core::causes::chain;
use vocalizer_core::ports::{BlobKey, BlobStore};
use vocalizer_core::song::SongHash;
use vocalizer_store::s3::{S3Error, S3Settings};

use super::server::{Fate, SECRET, Server, bytes, get, put};

const BRIEF: Duration = Duration::from_millis(300);

/// The variables of a server with one of them changed, or added.
fn with(server: &Server, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut variables = server.variables();
    variables.retain(|(known, _)| *known != name);
    variables.push((name, value.to_owned()));
    variables
}

async fn refused(server: &Server, url: &str, variables: Vec<(&'static str, String)>) -> S3Error {
    let settings = S3Settings::parse(url, variables).unwrap();
    server.open(settings.with_patience(BRIEF)).await.unwrap_err()
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named() {
    let server = Server::start();
    let error = refused(&server, "s3://stems/of/tests", server.variables()).await;
    assert!(matches!(&error, S3Error::BucketMissing { bucket } if bucket == "stems"), "{error:?}");
    assert_eq!(chain(&error), "there is no bucket stems; create it first");
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let server = Server::start();
    for name in ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"] {
        let error = refused(&server, "s3://songs", with(&server, name, "somebody-else-s")).await;
        assert!(matches!(error, S3Error::CredentialsRefused { .. }), "{error:?}");
        let said = chain(&error);
        assert!(said.starts_with("the credentials do not open the bucket songs: "), "{said}");
        assert!(!said.contains("somebody-else-s"), "{said}");
    }
    server.set_fates(|_, _| Fate::Refused(400, "ExpiredToken"));
    let error = refused(&server, "s3://songs", server.variables()).await;
    assert!(matches!(error, S3Error::CredentialsRefused { .. }), "{error:?}");
}

#[tokio::test]
async fn credentials_that_are_nowhere_are_missing() {
    let server = Server::start();
    let token = server.work().join("token");
    fs::write(&token, "token").unwrap();
    let variables = vec![
        ("AWS_ENDPOINT_URL", server.variables()[0].1.clone()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        // As set but empty: passed over.
        ("AWS_ACCESS_KEY_ID", String::new()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", nobody()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap().to_owned()),
    ];
    let error = refused(&server, "s3://songs", variables).await;
    assert!(matches!(error, S3Error::CredentialsMissing(_)), "{error:?}");
    assert!(server.heard().is_empty(), "without credentials nothing is asked");
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn an_endpoint_that_is_down_cannot_be_reached() {
    let server = Server::start();
    let began = Instant::now();
    let nobody = nobody();
    let error = refused(&server, "s3://songs", with(&server, "AWS_ENDPOINT_URL_S3", &nobody)).await;
    assert!(matches!(error, S3Error::Unreachable { .. }), "{error:?}");
    let said = chain(&error);
    assert!(said.starts_with(&nobody) && said.contains("cannot be reached") && said.contains("refused"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "patience ends: {:?}", began.elapsed());
}

#[tokio::test]
async fn what_an_endpoint_says_is_sorted() {
    let server = Server::start();
    for (status, code, is_so) in [
        (301, "PermanentRedirect", (|error| matches!(error, S3Error::Region { .. })) as fn(&S3Error) -> bool),
        (400, "AuthorizationHeaderMalformed", |error| matches!(error, S3Error::Region { .. })),
        (403, "AccessDenied", |error| matches!(error, S3Error::CredentialsRefused { .. })),
        (404, "NoSuchBucket", |error| matches!(error, S3Error::BucketMissing { .. })),
        (404, "NoSuchPage", |error| matches!(error, S3Error::Unavailable { .. })),
        (503, "SlowDown", |error| matches!(error, S3Error::Unavailable { .. })),
    ] {
        server.set_fates(move |_, _| Fate::Refused(status, code));
        let error = refused(&server, "s3://songs", server.variables()).await;
        assert!(is_so(&error), "{code}: {error:?}");
    }
}

#[tokio::test]
async fn a_web_page_is_no_bucket() {
    let server = Server::start();
    server.set_fates(|_, _| Fate::Page);
    let error = refused(&server, "s3://songs", server.variables()).await;
    assert!(matches!(error, S3Error::Unavailable { .. }), "{error:?}");
    assert_eq!(chain(&error), "the bucket songs cannot be used: a web page came instead of a list");
}

#[tokio::test]
async fn an_endpoint_without_the_tls_that_was_asked_for_cannot_be_reached() {
    let server = Server::start();
    let encrypted = server.variables()[0].1.replace("http:", "https:");
    let error = refused(&server, "s3://songs", with(&server, "AWS_ENDPOINT_URL", &encrypted)).await;
    // On a machine that trusts no certificate at all there is no TLS to begin with.
    assert!(matches!(error, S3Error::Unreachable { .. } | S3Error::Setup(_)), "{error:?}");
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_work_folder_that_cannot_be_made_is_named() {
    let server = Server::start();
    let file = server.work().join("file");
    fs::write(&file, "").unwrap();
    let settings = S3Settings::parse("s3://songs", server.variables()).unwrap();
    let error = vocalizer_store::s3::S3Blobs::open(settings, &file).await.unwrap_err();
    assert!(matches!(&error, S3Error::WorkDir { path, .. } if path.starts_with(&file)), "{error:?}");
}

#[tokio::test]
async fn a_bucket_is_used_with_or_without_a_prefix() {
    let server = Server::start();
    let key = BlobKey::Source(SongHash::of(b"a"));
    for (seed, url) in (0..).zip(["s3://songs", "s3://songs/", "s3://songs/a", "s3://songs/a/b/"]) {
        let blobs = server.open(S3Settings::parse(url, server.variables()).unwrap()).await.unwrap();
        put(&blobs, &key, &bytes(100, seed)).await;
        assert_eq!(get(&blobs, &key).await, Some(bytes(100, seed)), "{url}");
        assert_eq!(blobs.hashes().await.unwrap(), [*key.hash()], "{url}");
    }
    let lies = |at: &str| server.root().join("songs").join(at).join(key.to_string()).is_file();
    assert!(["", "a", "a/b"].into_iter().all(lies));
    let outermost = server.open(S3Settings::parse("s3://songs", server.variables()).unwrap()).await.unwrap();
    outermost.delete_all(key.hash()).await.unwrap();
    assert!(!lies("") && lies("a") && lies("a/b"), "a prefix's blobs are its own");
}

#[test]
fn addresses_that_are_none_are_refused() {
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
fn variables_that_make_no_sense_are_refused() {
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
async fn printing_hides_the_credentials() {
    let server = Server::start();
    let variables = with(&server, "AWS_SESSION_TOKEN", "session-token");
    let settings = S3Settings::parse("s3://songs/of/tests", variables).unwrap();
    let blobs = server.open(S3Settings::parse("s3://songs/of/tests", server.variables()).unwrap()).await.unwrap();
    for said in [format!("{settings:?}"), format!("{blobs:?}")] {
        assert!(said.contains("songs") && said.contains("of/tests"), "{said}");
        assert!(!said.contains(SECRET) && !said.contains("session-token"), "{said}");
    }
}

#[tokio::test]
async fn a_bucket_belongs_to_the_installation_that_was_there_first() {
    let server = Server::start();
    let blobs = server.blobs(BRIEF).await;
    assert_eq!(blobs.claim("one").await.unwrap(), "one");
    assert_eq!(blobs.claim("other").await.unwrap(), "one");
    put(&blobs, &BlobKey::Source(SongHash::of(b"a")), &bytes(1, 1)).await;
    assert_eq!(blobs.hashes().await.unwrap(), [SongHash::of(b"a")]);
    blobs.adopt("other").await.unwrap();
    assert_eq!(blobs.claim("one").await.unwrap(), "other");
}
