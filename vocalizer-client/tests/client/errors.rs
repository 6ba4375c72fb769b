//! What programs learn from an error.

use vocalizer_client::{Error, ErrorCode};

use super::{backend, canned};

const REFUSAL: &str = r#"{"ok":false,"errors":[{"code":"invalid","message":"too short","field":"password1"},
    {"code":"teapot","message":"short and stout"}],"data":null}"#;

async fn error(status: &str, headers: &str, body: &str) -> Error {
    let server = canned::server(canned::answer_with(status, headers, body), b"").await;
    backend::client(&server).songs().await.unwrap_err()
}

#[tokio::test]
async fn error_has_all_codes_and_unknown_ones_are_marked() {
    let error = error("422 Oh", "Content-Type: application/json\r\n", REFUSAL).await;
    assert_eq!(error.codes().collect::<Vec<_>>(), [ErrorCode::Invalid, ErrorCode::Unknown]);
    assert!(error.has_code(ErrorCode::Invalid) && error.has_code(ErrorCode::Unknown));
    assert!(!error.has_code(ErrorCode::Conflict) && !error.is_transient());
    let Error::Api { status: 422, errors, .. } = &error else { panic!("{error:?}") };
    assert_eq!((errors[0].field.as_deref(), errors[1].field.as_deref()), (Some("password1"), None));
    assert!(error.to_string().ends_with("422: too short; short and stout"), "{error}");
}

#[tokio::test]
async fn readiness_has_the_codes_of_a_refusal() {
    let json = "Content-Type: application/json\r\n";
    for (status, body, is_refused) in
        [("429 Oh", REFUSAL, true), ("503 Oh", r#"{"ready":false,"checks":{"disk":"full"}}"#, false)]
    {
        let server = canned::server(canned::answer_with(status, json, body), b"").await;
        match backend::client(&server).readiness().await {
            Ok(readiness) => assert!(!is_refused && readiness.checks["disk"] == "full", "{readiness:?}"),
            Err(error) => assert!(is_refused && error.has_code(ErrorCode::Invalid), "{error:?}"),
        }
    }
}

#[tokio::test]
async fn error_that_is_not_from_the_server_has_no_codes_but_its_request_id() {
    let error = error("502 Oh", "Content-Type: text/html\r\nX-Request-Id: abc\r\n", "<html>").await;
    assert_eq!((error.codes().count(), error.request_id()), (0, Some("abc")));
    assert!(error.is_transient());
}

#[tokio::test]
async fn error_has_the_id_of_the_request_in_the_servers_log() {
    let json = "Content-Type: application/json\r\n";
    let found = error("422 Oh", &format!("{json}X-Request-Id: 0b1c-2\r\n"), REFUSAL).await;
    assert_eq!(found.request_id(), Some("0b1c-2"));
    for unusable in ["", "X-Request-Id:\r\n", &format!("X-Request-Id: {}\r\n", "x".repeat(1000)), "X-Request-Id: ü\r\n"]
    {
        let error = error("422 Oh", &format!("{json}{unusable}"), REFUSAL).await;
        assert_eq!(error.request_id(), None, "{unusable:?}");
    }
}
