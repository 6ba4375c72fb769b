//! The JSON between server and client, as fixed by the contract.

use proptest::prelude::*;
use serde_json::{Value, json};
use vocalizer_core::api::{ApiError, Envelope, ErrorCode, SongData, SongStatus, SongView, SongsData};
use vocalizer_core::song::{Status, StatusKind};

use super::songs::song;

fn value(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).expect("JSON")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn song_json_matches_the_contract(song in song()) {
        let json = value(&SongView::from(&song));
        let object = json.as_object().expect("an object");
        prop_assert_eq!(&json["id"], &json!(song.id().to_string()));
        prop_assert_eq!(&json["title"], &json!(song.title().as_str()));
        prop_assert_eq!(&json["hash"], &json!(song.hash().to_string()));
        prop_assert_eq!(&json["status"], &json!(song.status().kind().name()));
        prop_assert_eq!(object.get("uploader_id"), Some(&json!(song.uploader().map(|id| id.to_string()))), "the key is always present");
        let failed = matches!(song.status(), Status::Failed { .. });
        prop_assert_eq!(object.contains_key("failure_reason"), failed);
        prop_assert_eq!(object.len(), 5 + usize::from(failed), "no other keys");
    }

    #[test]
    fn responses_round_trip(songs in proptest::collection::vec(song(), 0..4)) {
        let views: Vec<_> = songs.iter().map(SongView::from).collect();
        let response = Envelope::Success(SongsData { songs: views.clone(), next: None, total: None });
        prop_assert_eq!(serde_json::from_value::<Envelope<SongsData>>(value(&response)).expect("a response"), response);
        for song in views {
            let response = Envelope::Success(SongData { song });
            prop_assert_eq!(serde_json::from_value::<Envelope<SongData>>(value(&response)).expect("a response"), response);
        }
    }

    #[test]
    fn unknown_keys_are_ignored(song in song(), key in "[a-z]{3,8}_x") {
        let mut json = value(&SongView::from(&song));
        json[&key] = json!({"anything": [1, null]});
        prop_assert_eq!(serde_json::from_value::<SongView>(json).expect("a song"), SongView::from(&song));
    }

    #[test]
    fn errors_round_trip(message: String, field in proptest::option::of("[a-z]{1,8}")) {
        let error = ApiError::new(ErrorCode::Invalid, message);
        let error = match field {
            Some(field) => error.with_field(field),
            None => error,
        };
        let response = Envelope::<()>::failure(error.clone());
        let json = value(&response);
        prop_assert_eq!(json["errors"][0].get("field").is_some(), error.field.is_some());
        prop_assert_eq!(serde_json::from_value::<Envelope<()>>(json).expect("a response").into_result(), Err(vec![error]));
    }
}

#[test]
fn envelope_always_has_three_keys() {
    assert_eq!(value(&Envelope::Success(())), json!({"ok": true, "errors": [], "data": null}));
    let gone = Envelope::<SongData>::failure(ApiError::new(ErrorCode::NotFound, "there is no such song"));
    let expected = json!({
        "ok": false, "errors": [{"code": "not_found", "message": "there is no such song"}], "data": null,
    });
    assert_eq!(value(&gone), expected);
}

#[test]
fn responses_of_the_original_are_parsed() {
    type Response = Envelope<SongsData>;
    let none: Response =
        serde_json::from_str(r#"{"ok": true, "data": {"songs": []}}"#).expect("a response without the key errors");
    assert_eq!(none, Envelope::Success(SongsData { songs: vec![], next: None, total: None }));
    let failed: Response = serde_json::from_str(r#"{"ok": false}"#).expect("a failure without errors");
    assert_eq!(failed, Envelope::Failure(vec![]));
    let null = serde_json::from_str::<Response>(r#"{"ok": true, "errors": [], "data": null}"#);
    assert!(null.is_err(), "a success without songs");
    let both = r#"{"ok": true, "errors": [{"code": "internal", "message": "x"}], "data": {"songs": []}}"#;
    assert!(serde_json::from_str::<Response>(both).is_err(), "ok together with errors");
}

#[test]
fn status_and_code_serialize_as_names() {
    assert_eq!(value(&SongStatus::NotFound), "NOT_FOUND");
    for kind in StatusKind::ALL {
        assert_eq!(value(&SongStatus::from(kind)), kind.name());
    }
    assert_eq!(value(&ErrorCode::RateLimited), "rate_limited");
    let newer: ErrorCode = serde_json::from_value(json!("made_of_cheese")).expect("a code from a newer server");
    assert_eq!(newer, ErrorCode::Unknown);
}
