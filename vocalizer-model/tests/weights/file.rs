//! Weights files: valid, modified and invalid.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use vocalizer_model::weights::{WeightsError, WeightsFile, save_half};

use super::support::{Parts, file, golden, halves, network, published, tiny};

const KEY: &str = "encoder.1.conv.weight";

fn write(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("net.safetensors");
    std::fs::write(&path, bytes).expect("a file");
    (dir, path)
}

fn open(bytes: &[u8]) -> Result<WeightsFile, WeightsError> {
    let (_dir, path) = write(bytes);
    WeightsFile::open(&path)
}

fn changed(change: impl FnOnce(&mut Parts)) -> Result<WeightsFile, WeightsError> {
    let mut parts = Parts::of(&tiny());
    change(&mut parts);
    let file = open(&parts.bytes())?;
    file.check()?;
    Ok(file)
}

fn refused(change: impl FnOnce(&mut Parts)) -> WeightsError {
    changed(change).expect_err("an error")
}

#[track_caller]
fn malformed(result: Result<WeightsFile, WeightsError>, says: &str) {
    match result {
        Err(WeightsError::Malformed(what)) => assert!(what.contains(says), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tiny_models_are_valid() {
    for name in ["tiny-4s", "tiny-6s"] {
        let file = WeightsFile::open(&golden(&format!("{name}.safetensors"))).expect("a file");
        file.check().expect("a valid network");
        assert_eq!(file.shape(KEY), Some([16, 8, 8, 1].as_slice()), "{name}");
        let values = file.f32s(KEY).expect("values");
        assert_eq!(values.len(), 16 * 8 * 8);
        assert!(values.iter().all(|v| v.is_finite()) && values.iter().any(|v| *v != 0.0));
        assert!(file.keys().is_sorted());
        assert!(matches!(file.f32s("no.such"), Err(WeightsError::MissingKey(key)) if key == "no.such"));
    }
}

#[test]
fn saved_weights_read_back() {
    let (kwargs, tensors) = network();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("net.safetensors");
    save_half(&path, &kwargs, &tensors).expect("a saved file");
    let file = WeightsFile::open(&path).expect("a file");
    file.check().expect("the network");
    assert_eq!(file.config(), &kwargs);
    for (key, tensor) in &tensors {
        assert_eq!(file.shape(key), Some(tensor.shape.as_slice()), "{key}");
        let values: Vec<f32> = tensor.values.iter().map(|v| v.to_f32()).collect();
        assert!(file.f32s(key).expect("values") == values, "{key}");
    }
    assert_eq!(super::support::names(dir.path()), ["net.safetensors"]);
}

#[cfg(unix)]
#[test]
fn saved_weights_have_default_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let (kwargs, tensors) = network();
    let dir = tempfile::tempdir().expect("a folder");
    let (path, plain) = (dir.path().join("net.safetensors"), dir.path().join("plain"));
    save_half(&path, &kwargs, &tensors).expect("a saved file");
    std::fs::write(&plain, "").expect("a file");
    let mode = |path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(path), mode(plain));
}

#[test]
fn tensor_digest_is_independent_of_precision_and_order() {
    let (kwargs, tensors) = network();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("net.safetensors");
    save_half(&path, &kwargs, &tensors).expect("a saved file");
    let digest = WeightsFile::open(&path).and_then(|file| file.tensor_digest()).expect("a digest");

    let mut parts = Parts { header: Parts::of(&tiny()).header, data: Vec::new() };
    for (key, tensor) in tensors.iter().rev() {
        let start = parts.data.len();
        parts.data.extend(tensor.values.iter().flat_map(|v| v.to_f32().to_le_bytes()));
        *parts.field(key, "data_offsets") = json!([start, parts.data.len()]);
    }
    let other = open(&parts.bytes()).expect("a file");
    other.check().expect("the network");
    assert_eq!(other.tensor_digest().expect("a digest"), digest);
}

#[test]
fn tensor_digest_matches_documentation() {
    let (kwargs, tensors) = network();
    let (_dir, path) = write(b"");
    save_half(&path, &kwargs, &tensors).expect("a saved file");
    let mut hashed = Vec::new();
    for (key, tensor) in &tensors {
        hashed.extend(key.bytes().chain([0]).chain(tensor.values.iter().flat_map(|v| v.to_le_bytes())));
    }
    let digest = WeightsFile::open(&path).and_then(|file| file.tensor_digest());
    assert_eq!(digest.expect("a digest"), super::support::sha256(&hashed));
}

#[test]
fn published_digests_are_verified() {
    let bytes = tiny();
    let file = open(&bytes).expect("a file");
    let whole = published("net.safetensors", &bytes);
    file.verify(&whole).expect("the published file");
    let digest = super::support::leak(file.tensor_digest().expect("a digest"));
    // Another file may have the same tensors.
    let mut tensors = whole;
    (tensors.tensor_digest, tensors.sha256) = (Some(digest), "");
    file.verify(&tensors).expect("the published tensors");

    let mut other = bytes.clone();
    *other.last_mut().expect("a byte") ^= 0x40;
    let other = open(&other).expect("a file");
    other.check().expect("valid apart from the digest");
    for member in [whole, tensors] {
        let error = other.verify(&member).expect_err("an error");
        let published = member.tensor_digest.unwrap_or(member.sha256);
        let found = if member.tensor_digest.is_some() { Some(other.tensor_digest().expect("a digest")) } else { None };
        match &error {
            WeightsError::Digest { expected, found: f } => {
                assert_eq!(expected, published);
                assert!(found.is_none_or(|found| found == *f));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn changed_argument_fails_verification() {
    let bytes = tiny();
    let mut parts = Parts::of(&bytes);
    let kwargs = parts.field("__metadata__", "kwargs");
    *kwargs = json!(kwargs.as_str().expect("kwargs").replace(r#""t_heads": 4"#, r#""t_heads": 2"#));
    let file = open(&parts.bytes()).expect("a file");
    assert!(matches!(file.verify(&published("net", &bytes)), Err(WeightsError::Digest { .. })));
}

#[test]
fn empty_published_digest_fails_verification() {
    let bytes = tiny();
    let mut member = published("net", &bytes);
    member.sha256 = "";
    let verified = open(&bytes).expect("a file").verify(&member);
    assert!(matches!(verified, Err(WeightsError::Digest { .. })));
}

#[test]
fn missing_tensor_is_named() {
    let mut gone = String::new();
    let error = refused(|parts| gone = parts.without_last());
    assert!(matches!(&error, WeightsError::MissingKey(key) if *key == gone), "{error}");
    assert!(error.to_string().contains(&gone));
}

#[test]
fn unexpected_tensor_is_named() {
    let error = refused(|parts| {
        let end = parts.data.len();
        parts.header.insert("head.9".into(), json!({"dtype": "F32", "shape": [2], "data_offsets": [end, end + 8]}));
        parts.data.extend([0; 8]);
    });
    assert!(matches!(&error, WeightsError::UnexpectedKey(key) if key == "head.9"), "{error}");
}

#[test]
fn wrong_shape_is_reported_with_expected_shape() {
    let error = refused(|parts| *parts.field(KEY, "shape") = json!([8, 16, 8, 1]));
    match &error {
        WeightsError::WrongShape { key, expected, found } => {
            assert_eq!(
                (key.as_str(), expected.as_slice(), found.as_slice()),
                (KEY, &[16, 8, 8, 1][..], &[8, 16, 8, 1][..])
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains(KEY));
}

#[test]
fn other_network_class_is_unsupported() {
    let error = refused(|parts| *parts.field("__metadata__", "klass") = json!("demucs.hdemucs.HDemucs"));
    assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains("demucs.hdemucs.HDemucs")), "{error}");
    let error = refused(|parts| *parts.field("__metadata__", "args") = json!("[4]"));
    assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains("positional")), "{error}");
}

#[test]
fn unpublished_variants_are_unsupported() {
    let variants = [
        ("cac", json!(false)),
        ("rewrite", json!(0)),
        ("t_sparse_self_attn", json!(true)),
        ("t_sparse_cross_attn", json!(true)),
        ("t_emb", json!("scaled")),
        ("channels_time", json!(4)),
        ("multi_freqs", json!([0.5])),
        ("depth", json!(0)),
        ("norm_starts", json!(2)),
        ("nfft", json!(64)),
    ];
    for (key, value) in variants {
        let error = refused(|parts| {
            let kwargs = parts.field("__metadata__", "kwargs");
            let mut map: Map<String, Value> = serde_json::from_str(kwargs.as_str().expect("kwargs")).expect("kwargs");
            map.insert(key.into(), value);
            *kwargs = json!(Value::Object(map).to_string());
        });
        assert!(matches!(&error, WeightsError::Unsupported(_)), "{key}: {error}");
    }
}

#[test]
fn incomplete_metadata_is_malformed() {
    for key in ["klass", "args", "kwargs"] {
        let without = |parts: &mut Parts| {
            parts.header["__metadata__"].as_object_mut().expect("metadata").remove(key);
        };
        malformed(changed(without), key);
    }
    malformed(changed(|parts| drop(parts.header.remove("__metadata__"))), "klass");
    malformed(changed(|parts| *parts.field("__metadata__", "kwargs") = json!("{")), "kwargs");
    malformed(changed(|parts| *parts.field("__metadata__", "kwargs") = json!("[]")), "kwargs");
    malformed(changed(|parts| *parts.field("__metadata__", "kwargs") = json!("{}")), "sources");
}

#[test]
fn integer_tensors_are_unsupported() {
    let file = changed(|parts| *parts.field(KEY, "dtype") = json!("I32")).expect("the shapes are right");
    for error in [file.f32s(KEY).map(drop), file.tensor_digest().map(drop)] {
        assert!(matches!(&error, Err(WeightsError::Unsupported(what)) if what.contains(KEY)), "{error:?}");
    }
}

#[test]
fn truncated_file_is_rejected_at_any_length() {
    let bytes = tiny();
    let data_start = bytes.len() - Parts::of(&bytes).data.len();
    for length in [0, 1, 7, 8, 9, data_start / 2, data_start - 1] {
        malformed(open(&bytes[..length]), if length < 8 { "too short" } else { "" });
    }
    for length in [data_start, data_start + 1, bytes.len() / 2, bytes.len() - 1] {
        malformed(open(&bytes[..length]), &format!("{} follow", length - data_start));
    }
}

#[test]
fn trailing_bytes_are_rejected() {
    malformed(open(&[tiny(), vec![0; 3]].concat()), "follow");
}

#[test]
fn oversized_header_length_is_rejected() {
    for length in [u64::MAX, 1 << 40, (16 << 20) + 1, 1 << 20] {
        malformed(open(&[&length.to_le_bytes()[..], &[b'{'; 4096]].concat()), "");
    }
}

#[test]
fn out_of_bounds_or_overlapping_tensors_are_rejected() {
    let end = u64::try_from(Parts::of(&tiny()).data.len()).expect("a length");
    for offsets in [[end, end + 4096], [0, 4096], [end + 4096, end], [u64::MAX - 4095, u64::MAX], [1, u64::MAX]] {
        malformed(changed(|parts| *parts.field(KEY, "data_offsets") = json!(offsets)), "");
    }
    malformed(changed(|parts| *parts.field(KEY, "shape") = json!([16, 8, 8, 2])), "");
    malformed(changed(|parts| *parts.field(KEY, "shape") = json!([u64::MAX, u64::MAX])), "");
}

#[test]
fn shape_with_many_dimensions_is_not_printed() {
    let shape = vec![1; 100_000];
    let error =
        refused(|parts| *parts.field("freq_emb.embedding.weight", "shape") = json!([shape, vec![4096]].concat()));
    assert!(error.to_string().contains("freq_emb") && error.to_string().len() < 500);
}

#[test]
fn other_files_are_rejected() {
    malformed(open(b""), "too short");
    malformed(open(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 84025440\n"), "start");
    malformed(open(&file("{}", b"")), "klass");
    malformed(open(&file("[1, 2]", b"")), "header");
    malformed(open(&file("\u{7f}\u{1b}[2J", b"")), "header");
    let missing = WeightsFile::open(&golden("no-such.safetensors")).expect_err("an error");
    assert!(matches!(&missing, WeightsError::Io { .. }), "{missing:?}");
    assert!(WeightsFile::open(&golden("")).is_err(), "a folder");
}

#[test]
fn messages_are_short_and_free_of_control_characters() {
    let key = format!("\u{1b}[2J{}", "x".repeat(100_000));
    let error = refused(|parts| {
        let end = parts.data.len();
        parts.header.insert(key, json!({"dtype": "F32", "shape": [0], "data_offsets": [end, end]}));
    });
    let message = error.to_string();
    assert!(matches!(error, WeightsError::UnexpectedKey(_)), "{message}");
    assert!(message.len() < 500 && !message.contains('\u{1b}'), "{message}");
}

/// The smallest possible network, so that changes often hit its header.
fn smallest() -> Vec<u8> {
    let kwargs = r#"{"sources": ["a"], "channels": 2, "dconv_mode": 0, "t_layers": 1, "depth": 1}"#;
    let kwargs = serde_json::from_str(kwargs).expect("kwargs");
    let (_dir, path) = write(b"");
    save_half(&path, &kwargs, &halves(&kwargs)).expect("a saved file");
    WeightsFile::open(&path).and_then(|file| file.check()).expect("a valid file");
    std::fs::read(&path).expect("a file")
}

/// Calls every reading function.
fn exercise(bytes: &[u8]) {
    let Ok(file) = open(bytes) else { return };
    let _ = (file.check(), file.tensor_digest(), file.verify(&published("net", b"")));
    for key in file.keys() {
        let count = file.shape(key).expect("a shape").iter().product::<usize>();
        assert!(file.f32s(key).is_ok_and(|values| values.len() == count) || file.f32s(key).is_err(), "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn modified_and_truncated_files_never_panic(
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut bytes = smallest();
        let header = bytes.len() - Parts::of(&bytes).data.len();
        for (at, value, in_header) in changes {
            let range = if in_header { header } else { bytes.len() };
            bytes[at.index(range)] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |at| at.index(bytes.len())));
        exercise(&bytes);
    }

    #[test]
    fn headers_with_any_values_never_panic(numbers in prop::collection::vec(any::<u64>(), 4), depth in 0_u64..20) {
        let [a, b, c, d] = numbers[..] else { unreachable!() };
        let mut parts = Parts::of(&smallest());
        *parts.field("freq_emb.embedding.weight", "shape") = json!([a, b]);
        *parts.field("freq_emb.embedding.weight", "data_offsets") = json!([c, d]);
        exercise(&parts.bytes());
        let mut parts = Parts::of(&smallest());
        let kwargs = json!({"sources": ["a"], "nfft": a, "channels": b, "stride": c, "kernel_size": d, "depth": depth});
        *parts.field("__metadata__", "kwargs") = json!(kwargs.to_string());
        exercise(&parts.bytes());
    }
}
