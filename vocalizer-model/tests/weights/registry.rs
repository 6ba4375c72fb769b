//! The registry of published models.

use std::collections::BTreeSet;

use vocalizer_model::weights::{Cache, MODELS, MemberSpec, WeightsError, WeightsFile, find};

use super::support::tiny;

fn members() -> impl Iterator<Item = &'static MemberSpec> {
    MODELS.iter().flat_map(|model| model.members)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn every_file_is_pinned() {
    for member in members() {
        assert!(is_hex(member.sha256, 64), "{}", member.file);
        assert!(is_hex(member.revision, 40), "{}", member.file);
        assert!(member.tensor_digest.is_none_or(|digest| is_hex(digest, 64)), "{}", member.file);
        assert!(member.bytes > 1 << 20, "{}", member.file);
        assert_eq!(member.repository.split('/').filter(|part| !part.is_empty()).count(), 2, "{}", member.file);
    }
}

#[test]
fn file_names_and_digests_are_unique() {
    let mut seen = BTreeSet::new();
    for member in members() {
        let stem = member.file.strip_suffix(".safetensors").expect("a safetensors file");
        assert!(is_hex(stem, 8), "{}", member.file);
        assert!(seen.insert(member.file), "{} is listed twice", member.file);
        assert!(seen.insert(member.sha256), "the digest of {} is listed twice", member.file);
    }
}

#[test]
fn every_member_has_a_weight_for_every_source() {
    for model in MODELS {
        assert_eq!(model.weights.len(), model.members.len(), "{}", model.name);
        for weights in model.weights {
            assert_eq!(weights.len(), model.sources.len(), "{}", model.name);
        }
        for source in 0..model.sources.len() {
            assert!(model.weights.iter().map(|w| w[source]).sum::<f32>() > 0.0, "{}: {source}", model.name);
        }
        assert!(model.sources.iter().all(|source| source.parse::<vocalizer_model::Stem>().is_ok()), "{}", model.name);
        assert!(!model.summary.is_empty() && !model.licence.is_empty(), "{}", model.name);
    }
}

#[test]
fn sizes_add_up() {
    assert_eq!(find("htdemucs").expect("a model").total_bytes(), 84_025_440);
    assert_eq!(find("htdemucs_ft").expect("a model").total_bytes(), 4 * 84_025_440);
}

#[test]
fn unknown_model_error_lists_known_models() {
    let error = find("htdemux").expect_err("no model");
    assert!(matches!(&error, WeightsError::UnknownModel { name, .. } if name == "htdemux"));
    let message = error.to_string();
    assert!(MODELS.iter().all(|model| message.contains(model.name)), "{message}");
    assert!(find(&"x".repeat(1 << 20)).expect_err("no model").to_string().len() < 500);
}

#[test]
fn model_is_cached_when_all_files_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let cache = Cache::at(dir.path());
    let bag = find("htdemucs_ft").expect("a model");
    assert!(!cache.has(bag));
    std::fs::create_dir_all(cache.models_dir()).expect("a folder");
    for member in bag.members {
        assert!(!cache.has(bag));
        std::fs::write(cache.member_path(member), tiny()).expect("a file");
    }
    assert!(cache.has(bag) && !cache.is_damaged(bag));
}

#[test]
fn cut_file_is_damaged_and_not_cached() {
    let dir = tempfile::tempdir().expect("a folder");
    let cache = Cache::at(dir.path());
    let spec = find("htdemucs").expect("a model");
    assert!(!cache.is_damaged(spec), "a missing file is not damaged");
    std::fs::create_dir_all(cache.models_dir()).expect("a folder");
    let (path, whole) = (cache.member_path(&spec.members[0]), tiny());
    for length in [0, 4, 1_000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("a file");
        assert!(!cache.has(spec) && cache.is_damaged(spec), "{length} bytes");
    }
    std::fs::write(&path, [whole.as_slice(), b"more"].concat()).expect("a file");
    assert!(!cache.has(spec) && cache.is_damaged(spec), "a longer file");
}

/// `./test` fetches and requires the weights.
#[test]
fn published_weights_match_registry() {
    let spec = find("htdemucs").expect("a model");
    let cache = Cache::locate().expect("a cache");
    if !cache.has(spec) {
        assert!(std::env::var_os("VOCALIZER_TEST_WEIGHTS").is_none(), "the weights are not in the cache");
        println!("skipped: the weights of htdemucs are not in the cache");
        return;
    }
    for member in spec.members {
        let file = WeightsFile::open(&cache.member_path(member)).expect("safetensors");
        file.check().expect("the network");
        file.verify(member).expect("what was published");
    }
}
