//! Whole songs through SCNets and RoFormers, compared with the reference's chunks and overlap-add.

use vocalizer_model::audio::Frame;
use vocalizer_model::{Cancel, Model, Separation, SeparationOptions, SongStatistics, Stem, split_frames};

use super::support::{reference, tiny};
use crate::audio::support::{RATE_HZ, snr_db};

/// The tiny models, and the overlap in their configurations.
const CASES: [(&str, u32); 6] =
    [("tiny-scnet", 4), ("tiny-scnet-norm", 2), ("tiny-bs", 2), ("tiny-bs-512", 4), ("tiny-mel", 2), ("tiny-mel-2", 2)];

fn separated(model: &Model, song: &[Frame]) -> Vec<(Stem, Vec<Frame>)> {
    let mut options = SeparationOptions::default();
    options.reference_dc = true;
    split_frames(model, song, RATE_HZ, &options, &mut |_| {}, &Cancel::default()).expect("stems")
}

fn song(name: &str) -> Vec<Frame> {
    reference(&format!("{name}.golden.safetensors"), "mix").remove(0)
}

#[test]
fn songs_match_reference() {
    for (name, overlap) in CASES {
        let expected = reference(&format!("{name}.golden.safetensors"), &format!("stems_overlap{overlap}"));
        let stems = separated(&tiny(name), &song(name));
        let actual: Vec<_> = stems.iter().take(expected.len()).flat_map(|(_, frames)| frames).copied().collect();
        let db = snr_db(&expected.concat(), &actual);
        println!("{name}: {db:.1} dB of the reference");
        assert!(db > 110.0, "{name}: {db:.1} dB");
    }
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

#[test]
fn songs_of_any_length_keep_it() {
    for (name, _) in CASES {
        let (model, song) = (tiny(name), song(name));
        for frames in [1, 441, 5_000] {
            for (stem, stem_frames) in separated(&model, &song[..frames]) {
                assert_eq!(stem_frames.len(), frames, "{stem} of {name}");
                assert!(
                    stem_frames.iter().flatten().all(|value| value.is_finite()),
                    "{stem} of {name}: {frames} frames"
                );
            }
        }
    }
}
