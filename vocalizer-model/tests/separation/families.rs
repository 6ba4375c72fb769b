//! Whole songs through SCNets and RoFormers, compared with the reference's chunks and overlap-add.

use serde_json::Value;
use vocalizer_model::audio::Frame;
use vocalizer_model::{
    Cancel, ComputeOptions, Model, Separation, SeparationOptions, SongStatistics, Stem, split_frames,
};

use super::support::{check, golden, on, peak, reference, tiny};
use crate::audio::support::{RATE_HZ, snr_db};
use crate::weights::support::Parts;

/// The tiny models.
pub(super) const CASES: [&str; 6] =
    ["tiny-scnet", "tiny-scnet-norm", "tiny-bs", "tiny-bs-512", "tiny-mel", "tiny-mel-2"];

/// A tiny model with another value in the section `inference` of its configuration.
fn tiny_with(name: &str, key: &str, value: u32, compute: &ComputeOptions) -> Model {
    let mut file = Parts::of(&std::fs::read(golden(&format!("{name}.safetensors"))).expect("a tiny model"));
    let field = file.field("__metadata__", "config");
    let mut config: Value = serde_json::from_str(field.as_str().expect("a text")).expect("a configuration");
    config["inference"][key] = value.into();
    *field = config.to_string().into();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("changed.safetensors");
    std::fs::write(&path, file.bytes()).expect("a file");
    Model::from_file(&path, compute).expect("a model")
}

fn separated(model: &Model, song: &[Frame]) -> Vec<(Stem, Vec<Frame>)> {
    let mut options = SeparationOptions::default();
    options.reference_dc = true;
    split_frames(model, song, RATE_HZ, &options, &mut |_| {}, &Cancel::default()).expect("stems")
}

fn song(name: &str) -> Vec<Frame> {
    reference(&format!("{name}.golden.safetensors"), "mix").remove(0)
}

/// Separates a song of the reference with this overlap, and compares the stems.
pub(super) fn compare(name: &str, song: &str, overlap: u32, compute: &ComputeOptions, least_db: f64) {
    let file = format!("{name}.golden.safetensors");
    let what = if song == "mix" { format!("stems_overlap{overlap}") } else { format!("{song}_stems_overlap{overlap}") };
    let expected = reference(&file, &what);
    let model = tiny_with(name, "num_overlap", overlap, compute);
    let stems = separated(&model, &reference(&file, song).remove(0));
    let actual: Vec<_> = stems.iter().take(expected.len()).flat_map(|(_, frames)| frames).copied().collect();
    check(name, model.device(), &what, snr_db(&expected.concat(), &actual), least_db);
}

#[test]
fn songs_match_reference() {
    for name in CASES {
        for overlap in [2, 4] {
            compare(name, "mix", overlap, &on("cpu"), 110.0);
        }
    }
    compare("tiny-bs", "short", 2, &on("cpu"), 110.0);
}

#[test]
fn profiles_name_the_module_of_each_operation() {
    let scnet = [
        ("encoder.0.SDlayer", "bands_conv"),
        ("encoder.0.conv_modules.0.layers.0", "unit"),
        ("encoder.2.conv_modules.2.layers.0", "unit"),
        ("encoder.2.globalconv", "same_conv"),
        ("separation_net.dp_modules.0.lstm_layers.1", "bilstm over frames"),
        ("separation_net.dp_modules.3.linear_layers.1", "lstm_residual"),
        ("decoder.0.0", "conv_glu"),
        ("decoder.2.1", "bands_transposed"),
    ];
    let roformer = [
        ("band_split", "split_bands"),
        ("layers.0.0", "time_attention"),
        ("layers.1.1", "band_attention"),
        ("layers.1.1", "rms_feed_forward"),
        ("mask_estimators.1", "band_masks"),
    ];
    for (name, expected) in [("tiny-scnet", &scnet[..]), ("tiny-bs", &roformer)] {
        let (model, song) = (tiny(name), song(name));
        let statistics = SongStatistics::new(song.len() as u64, 0.0, 0.5);
        let mut separation =
            Separation::new(&model, model.sources(), statistics, &SeparationOptions::default()).expect("valid options");
        separation.record();
        separation.push(&song);
        while separation.step().expect("a step") {}
        let operations = &separation.profile().expect("a profile").operations;
        for (layer, operation) in expected {
            let found = operations.iter().find(|one| one.layer == *layer && one.operation == *operation);
            let found = found.unwrap_or_else(|| panic!("{name}: no {operation} of {layer} in {operations:?}"));
            assert!(found.gflop > 0.0 && found.bytes > 0, "{name}: {found:?}");
        }
    }
}

#[test]
fn model_with_a_target_leaves_the_rest() {
    for (name, names) in [("tiny-bs-512", ["vocals", "instrumental"]), ("tiny-mel", ["vocals", "other"])] {
        let (model, song) = (tiny(name), song(name));
        assert_eq!(model.sources().iter().map(Stem::name).collect::<Vec<_>>(), names);
        let [(_, vocals), (_, rest)] = separated(&model, &song).try_into().expect("two stems");
        let sum: Vec<_> = vocals.iter().zip(&rest).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]).collect();
        assert!(snr_db(&song, &sum) > 120.0, "{name}");
        assert!(snr_db(&song, &rest) < 60.0, "{name}: the rest is not the song");
    }
}

/// Checks that stems are as long as the song, and finite.
fn assert_whole(name: &str, model: &Model, song: &[Frame]) {
    for (stem, frames) in separated(model, song) {
        let all_finite = frames.iter().flatten().all(|value| value.is_finite());
        assert!(frames.len() == song.len() && all_finite, "{stem} of {name}: {} frames", song.len());
    }
}

#[test]
fn songs_of_any_length_keep_it() {
    for name in CASES {
        let (model, song) = (tiny(name), song(name));
        for frames in [1, 441, 5_000] {
            assert_whole(name, &model, &song[..frames]);
        }
    }
}

/// A chunk of an odd number of frames, which is no multiple of a hop.
#[test]
fn chunks_of_any_length_keep_the_song() {
    for name in CASES {
        let model = tiny_with(name, "chunk_size", 7_777, &on("cpu"));
        assert_eq!(model.segment_frames(), 7_777);
        assert_whole(name, &model, &song(name)[..20_000]);
    }
}

#[test]
fn silence_is_silent_and_silent_passages_are_finite() {
    for name in CASES {
        let model = tiny(name);
        for frames in [1, 441, 30_000] {
            for (stem, frames) in separated(&model, &vec![[0.0; 2]; frames]) {
                assert_eq!(peak(&frames), 0.0, "{stem} of {name}");
            }
        }
        let passage = vec![[0.0; 2]; 20_000];
        assert_whole(name, &model, &[&passage[..], &song(name)[..5_000], &passage[..]].concat());
    }
}
