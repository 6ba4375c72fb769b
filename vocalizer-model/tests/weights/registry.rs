//! The registry of published models.

use std::collections::BTreeSet;

use serde_json::Value;
use vocalizer_model::weights::{
    Cache, Family, Licence, MODELS, MemberSpec, Source, Terms, WeightsError, WeightsFile, find,
};

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
        assert!(member.tensor_digest.is_none_or(|digest| is_hex(digest, 64)), "{}", member.file);
        assert!(member.bytes > 1 << 20, "{}", member.file);
        let url = member.source.url("https://hub");
        assert!(url.starts_with("https://") && url.ends_with(member.source.file_name()), "{url}");
        match member.source {
            Source::Hub { repository, revision, .. } => {
                assert_eq!(repository.split('/').filter(|part| !part.is_empty()).count(), 2, "{}", member.file);
                // No commit of this repository is known; the digest pins its file.
                assert!(is_hex(revision, 40) || repository == "anvuew/BS-RoFormer", "{}", member.file);
            }
            source => assert!(matches!(source, Source::Url(_)), "{}", member.file),
        }
    }
}

#[test]
fn file_names_and_digests_are_unique() {
    let mut seen = BTreeSet::new();
    for member in members() {
        let stem = member.file.strip_suffix(".safetensors").expect("a safetensors file");
        assert!(is_hex(stem, 8) != member.config.is_some(), "{}", member.file);
        assert!(seen.insert(member.file), "{} is listed twice", member.file);
        assert!(seen.insert(member.sha256), "the digest of {} is listed twice", member.file);
        assert!(seen.insert(member.source.file_name()) || member.config.is_none(), "{}", member.file);
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
        assert!(!model.summary.is_empty() && model.summary.len() < 90, "{}", model.name);
        assert!(model.sources.len() == model.sources.iter().collect::<BTreeSet<_>>().len(), "{}", model.name);
    }
}

#[test]
fn licences_say_who_stated_them() {
    for model in MODELS {
        let Licence { terms, identifier, stated_by, stated_on, .. } = model.licence;
        assert_eq!(stated_by.is_some(), terms != Terms::NotStated, "{}", model.name);
        assert_eq!(identifier.is_some(), matches!(terms, Terms::Permissive | Terms::Copyleft), "{}", model.name);
        assert!(stated_on.is_none_or(|day| day.len() == 10 && day.starts_with("2026-")), "{}", model.name);
        assert_eq!(model.licence.must_be_accepted(), terms == Terms::NotStated, "{}", model.name);
    }
    let with = |terms| MODELS.iter().filter(move |model| model.licence.terms == terms).map(|model| model.name);
    let permissive: Vec<_> = with(Terms::Permissive).collect();
    assert_eq!(permissive, ["scnet", "scnet-large", "mel-roformer-kim", "mvsep-mega-53"]);
    assert!(with(Terms::ResearchOnly).all(|name| name.starts_with("htdemucs")));
    assert!(
        MODELS.iter().all(|model| model.licence.identifier.is_none_or(|id| Terms::of(id) == Some(model.licence.terms)))
    );
    assert_eq!((Terms::of("GPL-3.0-or-later"), Terms::of("my own")), (Some(Terms::Copyleft), None));
    let licence = find("scnet").expect("a model").licence.to_string();
    assert!(
        licence.starts_with("MIT, stated by the author in issue 35 of starrytong/SCNet, on 2026-07-17. "),
        "{licence}"
    );
}

#[test]
fn published_means_agree_with_the_stems() {
    let mut means = 0;
    for model in MODELS {
        for score in model.scores {
            assert!(
                !score.source.is_empty() && (score.mean_db.is_some() || !score.stems_db.is_empty()),
                "{}",
                model.name
            );
            for (stem, db) in score.stems_db {
                assert!(model.sources.contains(stem) && (4.0..15.0).contains(db), "{}: {stem}", model.name);
            }
            if let Some(mean_db) = score.mean_db.filter(|_| score.stems_db.len() == model.sources.len()) {
                let sum: f64 = score.stems_db.iter().map(|(_, db)| db).sum();
                assert!((sum / 4.0 - mean_db).abs() < 0.011, "{}: {sum} / 4, {mean_db}", model.name);
                means += 1;
            }
        }
    }
    assert_eq!(means, 7);
}

#[test]
fn costs_are_relative_to_htdemucs() {
    let cost = |name| find(name).expect("a model").relative_cost();
    assert_eq!((cost("htdemucs"), cost("htdemucs_ft"), cost("htdemucs_6s")), (Some(1.0), Some(4.0), None));
    let scnet = cost("scnet").expect("a cost");
    assert!((2.58..2.60).contains(&scnet), "{scnet}");
}

#[test]
fn configurations_name_the_stems_of_their_models() {
    for model in MODELS {
        for member in model.members {
            assert_eq!(member.config.is_some(), model.family != Family::Htdemucs, "{}", model.name);
            let Some(config) = member.config else { continue };
            let config: Value = serde_json::from_str(config).expect("JSON");
            model.family.check_config(&config).expect("a configuration of the family");
            assert_eq!(config["training"]["instruments"], serde_json::json!(model.sources), "{}", model.name);
            assert_eq!(member.file, format!("{}.safetensors", model.name));
        }
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
