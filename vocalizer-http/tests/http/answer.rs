use std::collections::BTreeMap;

use http::{StatusCode, header};
use serde_json::{Value, json};
use vocalizer_core::api::{ApiError, Envelope, ErrorCode, SongsData};
use vocalizer_http::answer;

fn body(response: &http::Response<bytes::Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn error_codes_map_to_statuses() {
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
fn responses_are_json_with_nosniff() {
    for response in [answer::success(&()), answer::failure(vec![ApiError::new(ErrorCode::NotFound, "<script>")])] {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}

#[test]
fn success_is_envelope_with_data() {
    let response = answer::success(&SongsData { songs: vec![], next: None, total: None });
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(body(&response), json!({"ok": true, "errors": [], "data": {"songs": []}}));
}

#[test]
fn failure_envelope_round_trips() {
    let errors = vec![
        ApiError::new(ErrorCode::Invalid, "too short").with_field("password1"),
        ApiError::new(ErrorCode::Conflict, "taken").with_field("username"),
    ];
    let response = answer::failure(errors.clone());
    assert_eq!(response.status(), 422, "status of the first error");
    let envelope: Envelope<()> = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(envelope, Envelope::Failure(errors));
}

#[test]
fn failure_without_errors_returns_500() {
    let response = answer::failure(vec![]);
    assert_eq!(response.status(), 500);
    assert_eq!(body(&response), json!({"ok": false, "errors": [], "data": null}));
}

#[test]
fn only_unauthenticated_sets_www_authenticate() {
    let header = |code| {
        let response = answer::failure(vec![ApiError::new(code, "no")]);
        response.headers().get(header::WWW_AUTHENTICATE).cloned()
    };
    assert_eq!(header(ErrorCode::Unauthenticated).unwrap(), "Bearer");
    assert_eq!(header(ErrorCode::NotFound), None);
}

#[test]
fn unserializable_data_returns_500() {
    let response = answer::success(&BTreeMap::from([((1, 2), "a key that is not a string")]));
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let envelope: Envelope<()> = serde_json::from_slice(response.body()).unwrap();
    assert!(matches!(envelope, Envelope::Failure(errors) if errors[0].code == ErrorCode::Internal));
}
