use std::collections::BTreeMap;

use http::{StatusCode, header};
use serde_json::{Value, json};
use vocalizer_core::api::{ApiError, Envelope, ErrorCode, SongsData};
use vocalizer_http::answer;

fn body(response: &http::Response<bytes::Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn every_code_has_its_status() {
    for (code, status) in [
        (ErrorCode::Malformed, 400),
        (ErrorCode::Unauthenticated, 401),
        (ErrorCode::NotFound, 404),
        (ErrorCode::Conflict, 409),
        (ErrorCode::TooLarge, 413),
        (ErrorCode::Unsupported, 415),
        (ErrorCode::Invalid, 422),
        (ErrorCode::RateLimited, 429),
        (ErrorCode::Internal, 500),
        (ErrorCode::Unknown, 500),
        (ErrorCode::Unavailable, 503),
    ] {
        assert_eq!(answer::status_of(code), status, "{code:?}");
        let response = answer::failure(vec![ApiError::new(code, "it went wrong")]);
        assert_eq!(response.status(), status, "{code:?}");
    }
}

#[test]
fn answers_are_json_and_not_to_be_sniffed() {
    for response in [answer::success(&()), answer::failure(vec![ApiError::new(ErrorCode::NotFound, "<script>")])] {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}

#[test]
fn a_success_is_an_envelope_with_data() {
    let response = answer::success(&SongsData { songs: vec![], next: None });
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(body(&response), json!({"ok": true, "errors": [], "data": {"songs": []}}));
}

#[test]
fn a_failure_is_an_envelope_that_clients_read_back() {
    let errors = vec![
        ApiError::new(ErrorCode::Invalid, "too short").with_field("password1"),
        ApiError::new(ErrorCode::Conflict, "taken").with_field("username"),
    ];
    let response = answer::failure(errors.clone());
    assert_eq!(response.status(), 422, "the first error's");
    let envelope: Envelope<()> = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(envelope, Envelope::Failure(errors));
}

#[test]
fn a_failure_without_errors_is_the_servers_own() {
    let response = answer::failure(vec![]);
    assert_eq!(response.status(), 500);
    assert_eq!(body(&response), json!({"ok": false, "errors": [], "data": null}));
}

#[test]
fn a_missing_session_says_how_to_authenticate_and_nothing_else_does() {
    let header = |code| {
        let response = answer::failure(vec![ApiError::new(code, "no")]);
        response.headers().get(header::WWW_AUTHENTICATE).cloned()
    };
    assert_eq!(header(ErrorCode::Unauthenticated).unwrap(), "Bearer");
    assert_eq!(header(ErrorCode::NotFound), None);
}

#[test]
fn data_that_is_no_json_is_a_failure_and_not_half_an_answer() {
    let response = answer::success(&BTreeMap::from([((1, 2), "a key that is no text")]));
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let envelope: Envelope<()> = serde_json::from_slice(response.body()).unwrap();
    assert!(matches!(envelope, Envelope::Failure(errors) if errors[0].code == ErrorCode::Internal));
}
