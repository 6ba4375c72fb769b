//! The JSON between server and client is the contract's, to the key.

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
    fn a_song_has_the_keys_of_the_contract(song in song()) {
        let json = value(&SongView::from(&song));
        let object = json.as_object().expect("an object");
        prop_assert_eq!(&json["id"], &json!(song.id().to_string()));
        prop_assert_eq!(&json["title"], &json!(song.title().as_str()));
        prop_assert_eq!(&json["hash"], &json!(song.hash().to_string()));
        prop_assert_eq!(&json["status"], &json!(song.status().kind().name()));
        prop_assert_eq!(object.get("uploader_id"), Some(&json!(song.uploader().map(|id| id.to_string()))), "never missing");
        let failed = matches!(song.status(), Status::Failed { .. });
        prop_assert_eq!(object.contains_key("failure_reason"), failed);
        prop_assert_eq!(object.len(), 5 + usize::from(failed), "and no others");
    }

    #[test]
    fn answers_come_back_the_same(songs in proptest::collection::vec(song(), 0..4)) {
        let views: Vec<_> = songs.iter().map(SongView::from).collect();
        let answer = Envelope::Success(SongsData { songs: views.clone(), next: None });
        prop_assert_eq!(serde_json::from_value::<Envelope<SongsData>>(value(&answer)).expect("an answer"), answer);
        for song in views {
            let answer = Envelope::Success(SongData { song });
            prop_assert_eq!(serde_json::from_value::<Envelope<SongData>>(value(&answer)).expect("an answer"), answer);
        }
    }

    #[test]
    fn a_client_reads_past_keys_it_does_not_know(song in song(), key in "[a-z]{3,8}_x") {
        let mut json = value(&SongView::from(&song));
        json[&key] = json!({"anything": [1, null]});
        prop_assert_eq!(serde_json::from_value::<SongView>(json).expect("a song"), SongView::from(&song));
    }

    #[test]
    fn errors_come_back_the_same(message: String, field in proptest::option::of("[a-z]{1,8}")) {
        let error = ApiError::new(ErrorCode::Invalid, message);
        let error = match field {
            Some(field) => error.with_field(field),
            None => error,
        };
        let answer = Envelope::<()>::failure(error.clone());
        let json = value(&answer);
        prop_assert_eq!(json["errors"][0].get("field").is_some(), error.field.is_some());
        prop_assert_eq!(serde_json::from_value::<Envelope<()>>(json).expect("an answer").into_result(), Err(vec![error]));
    }
}

#[test]
fn all_three_keys_are_always_there() {
    assert_eq!(value(&Envelope::Success(())), json!({"ok": true, "errors": [], "data": null}));
    let gone = Envelope::<SongData>::failure(ApiError::new(ErrorCode::NotFound, "there is no such song"));
    let expected = json!({
        "ok": false, "errors": [{"code": "not_found", "message": "there is no such song"}], "data": null,
    });
    assert_eq!(value(&gone), expected);
}

#[test]
fn answers_of_the_original_are_read() {
    type Answer = Envelope<SongsData>;
    let none: Answer = serde_json::from_str(r#"{"ok": true, "data": {"songs": []}}"#).expect("no errors, no key");
    assert_eq!(none, Envelope::Success(SongsData { songs: vec![], next: None }));
    let failed: Answer = serde_json::from_str(r#"{"ok": false}"#).expect("a failure without a word");
    assert_eq!(failed, Envelope::Failure(vec![]));
    let null = serde_json::from_str::<Answer>(r#"{"ok": true, "errors": [], "data": null}"#);
    assert!(null.is_err(), "an answer without the songs it promises");
    let both = r#"{"ok": true, "errors": [{"code": "internal", "message": "x"}], "data": {"songs": []}}"#;
    assert!(serde_json::from_str::<Answer>(both).is_err(), "ok, and yet not");
}

#[test]
fn a_status_or_a_code_is_its_name() {
    assert_eq!(value(&SongStatus::NotFound), "NOT_FOUND");
    for kind in StatusKind::ALL {
        assert_eq!(value(&SongStatus::from(kind)), kind.name());
    }
    assert_eq!(value(&ErrorCode::RateLimited), "rate_limited");
    let newer: ErrorCode = serde_json::from_value(json!("made_of_cheese")).expect("a code of a newer server");
    assert_eq!(newer, ErrorCode::Unknown);
}
