//! Whole songs through SCNets and RoFormers, compared with the reference's chunks and overlap-add.

use vocalizer_model::audio::Frame;
use vocalizer_model::{Cancel, Model, SeparationOptions, Stem, split_frames};

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
