//! Similarity of the stems to those of the original implementation.

use vocalizer_model::{Model, Precision, Stem};

use super::support::{as_reference, check, floats, golden, on, published, reference, split, tiny, tiny_on};
use crate::audio::support::{RATE_HZ, read, snr_db};

/// Compares a song of three segments, the last of them short, with the original's stems.
pub(super) fn whole_song(name: &str, model: &Model) {
    let file = format!("{name}.golden.safetensors");
    let song = reference(&file, "mix").remove(0);
    let stems = reference(&file, "stems");
    assert_eq!(model.sources().len(), stems.len());
    let split = split(model, &song, RATE_HZ, &as_reference());
    let all: Vec<_> = stems.iter().flatten().copied().collect();
    check(name, model.device(), "stems", snr_db(&all, &split.all()), 100.0);
    for (stem, expected) in model.sources().iter().zip(&stems) {
        check(name, model.device(), stem.name(), snr_db(expected, &split.stem(*stem)), 90.0);
    }
}

#[test]
fn tiny_4s_matches_reference() {
    whole_song("tiny-4s", &tiny("tiny-4s"));
}

#[test]
fn tiny_6s_matches_reference() {
    whole_song("tiny-6s", &tiny("tiny-6s"));
}

#[test]
fn published_weights_match_reference() {
    let Some(model) = published(&on("cpu")) else { return };
    published_song(&model);
}

pub(super) fn published_song(model: &Model) {
    // Every 16th frame of the original's stems; a sample of the frames has the same error as all of them.
    let stems = reference("htdemucs.stems-16th.safetensors", "stems");
    let song = read(&golden("mix.flac")).1;
    let split = split(model, &song, RATE_HZ, &as_reference());
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    for (stem, reference) in Stem::FOUR.iter().zip(stems) {
        let ours: Vec<_> = split.stem(*stem).into_iter().step_by(16).collect();
        assert_eq!(ours.len(), reference.len(), "{stem}");
        check("htdemucs", model.device(), stem.name(), snr_db(&reference, &ours), 90.0);
        expected.extend(reference);
        actual.extend(ours);
    }
    check("htdemucs", model.device(), "stems", snr_db(&expected, &actual), 100.0);
}

#[test]
fn auto_computes_in_what_it_takes_and_f32_is_the_default() {
    let song = &read(&golden("mix.flac")).1[..50_000];
    let stems = |precision| {
        let model = tiny_on("tiny-4s", &on("cpu").with_precision(precision)).expect("a model");
        let split = split(&model, song, RATE_HZ, &floats());
        assert_eq!(split.report.precision, model.precision());
        (model.precision(), split.all())
    };
    let (taken, by_auto) = stems(Precision::Auto);
    assert_eq!(on("cpu").with_precision(Precision::Auto).precisions(), [taken]);
    assert!((taken, by_auto) == stems(taken), "the same as by its name");
    assert_eq!(tiny("tiny-4s").precision(), Precision::F32);
    let [exact, rounded] = [Precision::F32, Precision::Int16].map(|precision| stems(precision).1);
    assert!(exact != rounded, "the tiny model has matrices that are large enough");
}

#[test]
fn fewer_bits_lose_little() {
    let Some(exact) = published(&on("cpu")) else { return };
    // Two segments.
    let song = &read(&golden("mix.flac")).1[..400_000];
    let exact = split(&exact, song, RATE_HZ, &floats());
    for (precision, least_db) in [(Precision::Bf16, 45.0), (Precision::Int16, 50.0), (Precision::Int8, 30.0)] {
        let model = published(&on("cpu").with_precision(precision)).expect("the same weights");
        assert!(model.remarks().join(" ").contains(&precision.to_string()), "{:?}", model.remarks());
        let split = split(&model, song, RATE_HZ, &floats());
        for stem in Stem::FOUR {
            println!("{precision}, {stem}: {:.1} dB of f32", snr_db(&exact.stem(stem), &split.stem(stem)));
        }
        let decibels = snr_db(&exact.all(), &split.all());
        check("htdemucs", &precision.to_string(), "stems", decibels, least_db);
        assert!(decibels < 90.0, "{precision} is not used: {decibels:.1} dB");
    }
}
