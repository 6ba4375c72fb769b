//! Validation of limits at startup.

use proptest::prelude::*;
use vocalizer_core::limits::{Limits, LimitsError};

const FIELDS: [&str; 8] = [
    "max_upload_bytes",
    "max_title_chars",
    "max_duration_s",
    "max_channels",
    "min_rate_hz",
    "max_rate_hz",
    "max_stem_bytes",
    "max_metadata_bytes",
];

/// Returns the default limits with one changed, parsed from JSON like a configuration.
fn with(field: &str, value: u64) -> Limits {
    serde_json::from_value(serde_json::json!({ field: value })).expect("limits")
}

#[test]
fn defaults_match_the_contract() {
    let limits = Limits::default();
    assert_eq!(limits.check(), Ok(()));
    assert_eq!(Limits::for_testing().check(), Ok(()));
    assert_eq!(limits.max_upload_bytes, 75 << 20, "nginx allows the same");
    assert_eq!((limits.max_channels, limits.max_rate_hz), (8, 384_000));
    assert_eq!(serde_json::from_str::<Limits>("{}").expect("limits"), limits);
}

#[test]
fn zero_limit_is_rejected_by_name() {
    for field in FIELDS {
        assert_eq!(with(field, 0).check(), Err(LimitsError::Zero { name: field }));
    }
}

#[test]
fn unknown_limit_is_rejected() {
    let error = serde_json::from_str::<Limits>(r#"{"max_uplaod_bytes": 1}"#).expect_err("a misspelled name");
    assert!(error.to_string().contains("max_uplaod_bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_reversed_rate_limits_are_rejected(field in 0..FIELDS.len(), value in 1_u64..60_000) {
        let limits = with(FIELDS[field], value);
        let ordered = limits.min_rate_hz <= limits.max_rate_hz;
        prop_assert_eq!(limits.check().is_ok(), ordered);
        let json = serde_json::to_string(&limits).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Limits>(&json).expect("limits"), limits);
    }
}
