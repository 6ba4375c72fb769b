//! Separation options.

use vocalizer_model::audio::{AudioFormat, Bitrate};
use vocalizer_model::{Error, SplitOptions, Stem, split_file};

use super::support::{floats, golden, peak, reference, split, tiny};
use crate::audio::support::{RATE_HZ, snr_db, song};

fn with_shifts(shifts: u32, seed: u64) -> SplitOptions {
    let mut options = floats();
    options.separation.shifts = shifts;
    options.separation.seed = seed;
    options
}

#[test]
fn shifts_are_reproducible_by_seed() {
    let model = tiny("tiny-4s");
    let song = song(60_000, RATE_HZ);
    let once = split(&model, &song, RATE_HZ, &with_shifts(2, 7)).all();
    assert!(once == split(&model, &song, RATE_HZ, &with_shifts(2, 7)).all());
    assert!(once != split(&model, &song, RATE_HZ, &with_shifts(2, 8)).all());
    assert_eq!(once.len(), song.len() * model.sources().len());
}

/// A shift moves only the segment boundaries; stems stay aligned.
#[test]
fn shifts_do_not_move_stems() {
    let model = tiny("tiny-4s");
    let song = reference("tiny-4s.golden.safetensors", "mix").remove(0);
    let plain = split(&model, &song, RATE_HZ, &floats()).all();
    let shifted = split(&model, &song, RATE_HZ, &with_shifts(1, 3)).all();
    let moved: Vec<_> = std::iter::once([0.0; 2]).chain(shifted.iter().copied()).collect();
    assert!(snr_db(&plain, &shifted) > snr_db(&plain, &moved), "the shift moved the stems");
}

#[test]
fn every_overlap_keeps_length() {
    let model = tiny("tiny-4s");
    let song = song(3 * model.segment_frames(), RATE_HZ);
    for overlap in [0.0, 0.5, 0.9] {
        let mut options = floats();
        options.separation.overlap = Some(overlap);
        let split = split(&model, &song, RATE_HZ, &options);
        assert_eq!(split.stem(Stem::VOCALS).len(), song.len(), "overlap {overlap}");
        assert!(peak(&split.all()) > 0.0);
    }
}

#[test]
fn shorter_segment_keeps_length() {
    let model = tiny("tiny-4s");
    let song = song(70_001, RATE_HZ);
    let mut options = floats();
    options.separation.segment_s = Some(0.5);
    assert_eq!(split(&model, &song, RATE_HZ, &options).stem(Stem::BASS).len(), song.len());
}

#[test]
fn invalid_options_name_valid_values() {
    let model = tiny("tiny-4s");
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |change: &dyn Fn(&mut SplitOptions), expected: &str| {
        let mut options = SplitOptions::default();
        change(&mut options);
        let out = dir.path().join("out");
        let error = split_file(&model, &golden("mix.flac"), &out, &options).expect_err(expected);
        assert!(matches!(error, Error::Options(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!out.exists(), "the output folder was left");
    };
    refused(&|o| o.separation.overlap = Some(1.0), "0 to 0.99");
    refused(&|o| o.separation.overlap = Some(f64::NAN), "0 to 0.99");
    refused(&|o| o.separation.overlap = Some(-0.1), "0 to 0.99");
    refused(&|o| o.separation.segment_s = Some(60.0), "takes 0.1 to");
    refused(&|o| o.separation.segment_s = Some(0.0), "takes 0.1 to");
    refused(&|o| o.separation.segment_s = Some(f64::NAN), "takes 0.1 to");
    refused(&|o| o.stems = vec![Stem::PIANO], "drums, bass, other, vocals");
    refused(&|o| o.mix_minus = vec![Stem::GUITAR], "drums, bass, other, vocals");
    refused(&|o| o.mix_minus = Stem::FOUR.to_vec(), "name fewer stems");
    refused(&|o| o.start_s = Some(-1.0), "0 or more");
    refused(&|o| o.start_s = Some(f64::NAN), "0 or more");
    refused(&|o| o.start_s = Some(f64::INFINITY), "0 or more");
    refused(&|o| o.end_s = Some(0.0), "after the start");
    refused(&|o| o.end_s = Some(f64::NAN), "after the start");
    refused(&|o| (o.start_s, o.end_s) = (Some(2.0), Some(1.0)), "after the start");
    refused(&|o| o.format = AudioFormat::Mp3(Bitrate::Cbr(321)), "320");
    refused(&|o| o.format = AudioFormat::Mp3(Bitrate::Vbr(10)), "0 (best) to 9");
}
