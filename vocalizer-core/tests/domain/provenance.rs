//! Provenance: what a worker may say about the stems it made.

use std::time::Duration;

use proptest::prelude::*;
use vocalizer_core::api::{Provenance, Speed};

/// A provenance with every field.
fn full() -> Provenance {
    let mut provenance = Provenance::new("htdemucs");
    provenance.weights = Some("0123456789abcdef".repeat(4));
    provenance.device = Some("cuda:0".to_owned());
    provenance.precision = Some("f16".to_owned());
    provenance.program = Some("vocalizer 1.2.3".to_owned());
    provenance.measure(Duration::from_secs(240), Duration::from_millis(12_345));
    provenance
}

#[test]
fn json_has_every_field_and_round_trips() {
    let json = serde_json::to_value(full()).expect("JSON");
    assert_eq!((&json["took_ms"], &json["speed"]), (&12_345.into(), &19.44.into()));
    assert_eq!(json.as_object().expect("an object").len(), 7);
    assert_eq!(serde_json::from_value::<Provenance>(json).expect("a provenance"), full());
    let least = serde_json::to_string(&Provenance::new("x")).expect("JSON");
    assert_eq!(least, r#"{"model":"x"}"#, "unknown fields are left out");
}

#[test]
fn longest_valid_provenance_fits_into_the_limit() {
    let mut longest = full();
    // Quotation marks and backslashes are escaped; other characters take at most four bytes.
    for text in ["\"".repeat(200), "\\".repeat(200), "\u{1f3b5}".repeat(200)] {
        longest.model = text.clone();
        (longest.device, longest.precision, longest.program) = (Some(text.clone()), Some(text.clone()), Some(text));
        longest.check().expect("at the limit");
        let json = serde_json::to_vec(&longest).expect("JSON");
        assert!(json.len() <= Provenance::MAX_JSON_BYTES, "{} bytes", json.len());
    }
}

#[test]
fn each_field_out_of_bounds_is_named() {
    type Change = fn(&mut Provenance);
    let changes: [(&str, Change); 9] = [
        ("model", |it| it.model = String::new()),
        ("model", |it| it.model = "x".repeat(201)),
        ("device", |it| it.device = Some("a\nb".to_owned())),
        ("precision", |it| it.precision = Some("\u{202e}".to_owned())),
        ("program", |it| it.program = Some("\t".to_owned())),
        ("weights", |it| it.weights = Some("0".repeat(63))),
        ("weights", |it| it.weights = Some("G".repeat(64))),
        ("took_ms", |it| it.took_ms = Some(u64::MAX)),
        ("speed", |it| it.speed = serde_json::from_str("-0.5").ok()),
    ];
    for (field, change) in changes {
        let mut provenance = full();
        change(&mut provenance);
        let error = provenance.check().expect_err(field).to_string();
        assert!(error.contains(&format!("invalid {field} ")) && error.contains("use "), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn measured_speed_is_always_valid(audio_ms: u64, took_ms in 0..1_000_000_u64) {
        let mut provenance = Provenance::new("x");
        provenance.measure(Duration::from_millis(audio_ms), Duration::from_millis(took_ms));
        prop_assert!(provenance.check().is_ok());
        prop_assert_eq!(provenance.speed.is_some(), took_ms > 0);
        let again = serde_json::from_str::<Provenance>(&serde_json::to_string(&provenance).expect("JSON"));
        prop_assert_eq!(again.expect("a provenance"), provenance);
    }
}

#[test]
fn speed_is_a_multiple_of_real_time() {
    let speed = Speed::of(Duration::from_secs(30), Duration::from_secs(4)).expect("a speed");
    assert!((speed.times() - 7.5).abs() < f64::EPSILON);
    assert_eq!(Speed::of(Duration::from_secs(1), Duration::ZERO), None);
}
