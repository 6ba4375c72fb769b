//! Separation of samples in memory.

use vocalizer_model::audio::Frame;
use vocalizer_model::{Cancel, Error, Model, SeparationOptions, Stem, split_frames};

use super::support::{floats, split, tiny};
use crate::audio::support::{RATE_HZ, snr_db, song};

fn stems(model: &Model, frames: &[Frame], rate_hz: u32) -> Vec<(Stem, Vec<Frame>)> {
    split_frames(model, frames, rate_hz, &SeparationOptions::default(), &mut |_| {}, &Cancel::default())
        .expect("a split song")
}

#[test]
fn samples_give_the_same_stems_as_a_file() {
    let model = tiny("tiny-4s");
    for rate_hz in [RATE_HZ, 48_000] {
        let frames = song(3 * rate_hz as usize, rate_hz);
        let from_file = split(&model, &frames, rate_hz, &floats());
        let in_memory = stems(&model, &frames, rate_hz);
        assert_eq!(in_memory.iter().map(|(stem, _)| *stem).collect::<Vec<_>>(), model.sources());
        for (stem, samples) in in_memory {
            let expected = from_file.stem(stem);
            assert_eq!(samples.len(), expected.len(), "{stem} at {rate_hz} Hz");
            let snr_db = snr_db(&expected, &samples);
            assert!(snr_db > 110.0, "{stem} at {rate_hz} Hz: {snr_db:.1} dB");
        }
    }
}

#[test]
fn silent_and_empty_songs_have_silent_stems() {
    let model = tiny("tiny-4s");
    for frames in [0, 1, 1000] {
        let silence = vec![[0.0; 2]; frames];
        assert!(stems(&model, &silence, RATE_HZ).iter().all(|(_, samples)| *samples == silence));
    }
}

#[test]
fn samples_report_progress_and_are_cancelled() {
    let model = tiny("tiny-4s");
    let frames = song(3 * RATE_HZ as usize, RATE_HZ);
    let mut seen = Vec::new();
    let options = SeparationOptions::default();
    split_frames(&model, &frames, RATE_HZ, &options, &mut |done| seen.push(done), &Cancel::default()).expect("stems");
    assert!(seen.len() > 1 && seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");

    let cancel = Cancel::default();
    let stop = cancel.clone();
    let cancelled = split_frames(&model, &frames, RATE_HZ, &options, &mut |_| stop.cancel(), &cancel);
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{:?}", cancelled.map(|stems| stems.len()));
}

#[test]
fn invalid_options_and_rates_are_rejected() {
    let model = tiny("tiny-4s");
    let mut options = SeparationOptions::default();
    options.overlap = Some(2.0);
    let rejected = split_frames(&model, &[], RATE_HZ, &options, &mut |_| {}, &Cancel::default());
    assert!(matches!(rejected, Err(Error::Options(_))));
    let rejected =
        split_frames(&model, &[[0.1; 2]; 10], 0, &SeparationOptions::default(), &mut |_| {}, &Cancel::default());
    assert!(matches!(rejected, Err(Error::Resample(_))));
}
