//! Configuration files of the training toolkit.

use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use vocalizer_model::weights::{WeightsError, parse_toolkit_config, read_toolkit_config};

use super::support::golden;

/// The section `model` with this text.
fn model(text: &str) -> Result<Value, WeightsError> {
    let mut config = parse_toolkit_config(&format!("model:\n{text}"))?;
    Ok(config["model"].take())
}

#[track_caller]
fn refused(text: &str, says: &str) {
    let error = parse_toolkit_config(text).expect_err(says).to_string();
    assert!(error.contains(says), "{says:?} is not in {error:?}");
}

#[test]
fn files_equal_the_metadata_of_their_safetensors() {
    for name in ["tiny-scnet", "tiny-bs"] {
        let bytes = std::fs::read(golden(&format!("{name}.safetensors"))).expect("a file");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("safetensors");
        let expected = &header.metadata().as_ref().expect("metadata")["config"];
        let expected: Value = serde_json::from_str(expected).expect("JSON");
        assert_eq!(read_toolkit_config(&golden(&format!("{name}.yaml"))).expect("a configuration"), expected);
    }
}

#[test]
fn values_have_the_toolkits_types() {
    let text = "  a: [1, -2, 0.5, 1e-5, 1.0e-05, .5, 0, 123456789012345678901234567890]
  b: [true, False, yes, NO, on, off]
  c: [~, null, Null, ]
  d: ['1', \"true\", vocals, 010, 1.2.3, inf, .nan, 1_0, '']
  e: !!python/tuple [1, !!str 2]
  f:
  g: {h: {i: []}}
";
    let expected = json!({
        "a": [1, -2, 0.5, 1e-5, 1e-5, 0.5, 0, 1.2345678901234568e29],
        "b": [true, false, true, false, true, false],
        "c": [null, null, null],
        "d": ["1", "true", "vocals", "010", "1.2.3", "inf", ".nan", "1_0", ""],
        "e": [1, "2"],
        "f": null,
        "g": {"h": {"i": []}},
    });
    assert_eq!(model(text).expect("a configuration"), expected);
}

#[test]
fn only_sections_of_the_network_are_kept() {
    let config = parse_toolkit_config("\u{feff}augmentations: {a: 1}\nmodel: {b: 2}\ninference: {c: 3}\n");
    assert_eq!(config.expect("a configuration"), json!({"model": {"b": 2}, "inference": {"c": 3}}));
}

#[test]
fn tags_that_could_run_code_are_refused() {
    refused("model: !!python/object/apply:os.system ['ls']", "the tag !!python/object/apply:os.system in line 1");
    refused("model:\n  a: !!python/name:torch.nn.GELU", "the tag !!python/name:torch.nn.GELU in line 2");
    refused("model: {a: !local 1}", "the tag !local in line 1");
    refused("model: !!python/tuple {a: 1}", "!!python/tuple");
}

#[test]
fn aliases_are_refused() {
    refused("model: &m {a: 1}\naudio: *m", "an alias (*) in line 2");
    let laughs: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)).collect();
    refused(&format!("a0: &a0 ha\n{laughs}model: {{}}"), "an alias");
    refused("model: &m\n  - *m", "an alias");
}

#[test]
fn large_and_deep_files_are_refused() {
    refused(&format!("model: {{a: {}}}", "x".repeat(1 << 20)), "more than 1048576 bytes");
    let path = tempfile::NamedTempFile::new().expect("a file");
    path.as_file().set_len(1 << 40).expect("a sparse file");
    let error = read_toolkit_config(path.path()).expect_err("an error").to_string();
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    refused(&format!("model: {}", "[".repeat(200)), "levels deep");
    refused(&format!("model: {}", "[".repeat(500_000)), "recursion limit exceeded");
    refused(&(0..100_usize).map(|n| format!("{}a:\n", " ".repeat(n % 40))).collect::<String>(), "levels deep");
}

#[test]
fn invalid_files_are_refused() {
    refused("", "empty");
    refused("- 1", "has sections");
    refused("model", "has sections");
    refused("audio: {}", "lacks the section model");
    refused("model: 1", "the section model is not");
    refused("model: {a: 1, a: 2}", "a in line 1 occurs twice");
    refused("model: {[1]: 2}", "a key that is not text");
    refused("model: {}\n---\nmodel: {}", "more than one document");
    refused("model: {a: 1", "not YAML");
    refused("model: {}\n\tb", "not YAML");
    let error = read_toolkit_config(&golden("evil.ckpt")).expect_err("an error").to_string();
    assert!(error.contains("UTF-8"), "{error}");
    assert!(matches!(read_toolkit_config(&golden("no.yaml")), Err(WeightsError::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn arbitrary_text_never_panics(text in "[-a:{}\\[\\], \n\t&*!|>'\"#%?@0-9.~]{0,200}") {
        let _ = parse_toolkit_config(&text);
        let _ = model(&text);
    }
}
