//! Levels of the stems: clipping, and the constant part (DC) of a song.

use std::path::Path;

use vocalizer_model::audio::{AudioFormat, Frame};
use vocalizer_model::{Clip, Model, SplitOptions, Stem};

use super::support::{Split, floats, on, peak, published, split, tiny};
use crate::audio::support::{RATE_HZ, read, snr_db, song};

fn with(format: AudioFormat, clip: Option<Clip>) -> SplitOptions {
    let mut options = SplitOptions::default();
    (options.format, options.clip) = (format, clip);
    options
}

fn times(frames: &[Frame], gain: f32) -> Vec<Frame> {
    frames.iter().map(|f| f.map(|x| x * gain)).collect()
}

/// The sum of all written files.
fn sum(split: &Split) -> Vec<Frame> {
    sum_of(split.report.files.iter().map(|file| read(file).1))
}

fn sum_of(signals: impl IntoIterator<Item = Vec<Frame>>) -> Vec<Frame> {
    let add = |sum: Vec<Frame>, signal: Vec<Frame>| {
        assert_eq!(sum.len(), signal.len());
        sum.iter().zip(signal).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]).collect()
    };
    signals.into_iter().reduce(add).expect("a signal")
}

/// So loud that every stem exceeds full scale.
fn loud() -> Vec<Frame> {
    times(&song(50_000, RATE_HZ), 400.0)
}

#[test]
fn clipping_stems_get_one_common_gain_by_default() {
    let model = tiny("tiny-4s");
    let song = loud();
    let exact = split(&model, &song, RATE_HZ, &floats());
    assert_eq!(exact.report.gain, 1.0, "the float format needs no gain");
    let peaks: Vec<_> = model.sources().iter().map(|&stem| peak(&exact.stem(stem))).collect();
    assert!(peaks.iter().all(|&peak| peak > 2.0), "the song is not loud enough for this test: {peaks:?}");
    let gain = 1.0 / (1.01 * peaks.iter().copied().fold(0.0, f32::max));
    for (format, clip, at_least_db) in [
        (AudioFormat::Wav16, None, 30.0),
        (AudioFormat::Flac, None, 30.0),
        (AudioFormat::Wav24, Some(Clip::Common), 80.0),
        (AudioFormat::WavF32, Some(Clip::Common), 120.0),
    ] {
        let split = split(&model, &song, RATE_HZ, &with(format, clip));
        assert!((split.report.gain / gain - 1.0).abs() < 1e-5, "{format:?}: {}, expected {gain}", split.report.gain);
        let gains: Vec<_> = model.sources().iter().map(|stem| (stem.to_string(), split.report.gain)).collect();
        assert_eq!(split.report.gains, gains);
        for (file, &stem) in split.report.files.iter().zip(model.sources()) {
            let found = read(file).1;
            assert!(peak(&found) < 0.995, "{format:?}: {stem} clips");
            let db = snr_db(&times(&exact.stem(stem), gain), &found);
            assert!(db > at_least_db, "{format:?}: {stem} at {db:.1} dB");
        }
        let db = snr_db(&times(&sum(&exact), gain), &sum(&split));
        println!("{format:?}: the stems add up to the song times {gain:.4} at {db:.1} dB");
        assert!(db > at_least_db, "{format:?}: {db:.1} dB");
    }
}

#[test]
fn stems_that_do_not_clip_are_unchanged() {
    let model = tiny("tiny-4s");
    let song = times(&song(50_000, RATE_HZ), 0.1);
    let split_with = |clip| split(&model, &song, RATE_HZ, &with(AudioFormat::Wav16, clip));
    let expected = split_with(Some(Clip::None));
    assert!(peak(&expected.all()) < 0.9);
    for clip in [None, Some(Clip::Common), Some(Clip::Each)] {
        let split = split_with(clip);
        assert_eq!(split.report.gain, 1.0);
        assert!(split.report.gains.iter().all(|(_, gain)| *gain == 1.0));
        assert!(split.all() == expected.all(), "{clip:?}");
    }
}

#[test]
fn clipping_stems_are_scaled_each_clamped_or_kept() {
    let model = tiny("tiny-4s");
    let song = loud();
    let exact = split(&model, &song, RATE_HZ, &floats());
    let each = split(&model, &song, RATE_HZ, &with(AudioFormat::WavF32, Some(Clip::Each)));
    assert_eq!(each.report.gain, 1.0, "there is no common gain");
    for (&stem, (name, gain)) in model.sources().iter().zip(&each.report.gains) {
        assert_eq!(*name, stem.to_string());
        let expected = 1.0 / (1.01 * peak(&exact.stem(stem)));
        assert!((gain / expected - 1.0).abs() < 1e-5, "{stem}: {gain}, expected {expected}");
        assert!(snr_db(&times(&exact.stem(stem), expected), &each.stem(stem)) > 120.0);
    }

    let exact = exact.stem(Stem::VOCALS);
    let one = |format, clip| split(&model, &song, RATE_HZ, &with(format, Some(clip))).stem(Stem::VOCALS);
    let clamped = one(AudioFormat::WavF32, Clip::Clamp);
    assert!(clamped == exact.iter().map(|f| f.map(|x| x.clamp(-0.99, 0.99))).collect::<Vec<_>>());
    assert_eq!(peak(&one(AudioFormat::Wav16, Clip::None)), 1.0);
}

/// Returns the song with a constant in each channel.
fn with_dc(song: &[Frame], dc: [f32; 2]) -> Vec<Frame> {
    song.iter().map(|f| [f[0] + dc[0], f[1] + dc[1]]).collect()
}

#[test]
fn one_stem_carries_dc_of_song() {
    for (name, carrier) in [("tiny-4s", Stem::OTHER), ("tiny-6s", Stem::OTHER)] {
        let model = tiny(name);
        let song = song(60_000, RATE_HZ);
        let plain = split(&model, &song, RATE_HZ, &floats());
        for dc in [[0.02, 0.02], [0.02, 0.0], [0.03, -0.02]] {
            let split = split(&model, &with_dc(&song, dc), RATE_HZ, &floats());
            for &stem in model.sources() {
                let expected = if stem == carrier { with_dc(&plain.stem(stem), dc) } else { plain.stem(stem) };
                let db = snr_db(&expected, &split.stem(stem));
                assert!(db > 60.0, "{name}, {stem} with a DC of {dc:?}: {db:.1} dB");
            }
        }
    }
}

#[test]
fn selected_stems_carry_dc_only_with_other() {
    let model = tiny("tiny-4s");
    let song = song(60_000, RATE_HZ);
    let offset = with_dc(&song, [0.05; 2]);
    let selected = |song: &[Frame], stems: &[Stem]| {
        let mut options = floats();
        options.stems = stems.to_vec();
        sum(&split(&model, song, RATE_HZ, &options))
    };
    let drums = &[Stem::DRUMS];
    assert!(snr_db(&selected(&song, drums), &selected(&offset, drums)) > 60.0);
    let both = &[Stem::DRUMS, Stem::OTHER];
    assert!(snr_db(&with_dc(&selected(&song, both), [0.05; 2]), &selected(&offset, both)) > 60.0);
}

#[test]
fn reference_gives_every_stem_dc_of_song() {
    let model = tiny("tiny-4s");
    let song = song(60_000, RATE_HZ);
    let mut options = floats();
    options.separation.reference_dc = true;
    let plain = split(&model, &song, RATE_HZ, &options);
    let split = split(&model, &with_dc(&song, [0.02; 2]), RATE_HZ, &options);
    for &stem in model.sources() {
        assert!(snr_db(&with_dc(&plain.stem(stem), [0.02; 2]), &split.stem(stem)) > 60.0, "{stem}");
    }
}

/// Six seconds of the demo song.
fn demo(model: &Model) -> Vec<Frame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/first-light.mp3");
    let mut song = read(&path).1.split_off(10 * RATE_HZ as usize);
    song.truncate(6 * model.rate_hz() as usize);
    song
}

#[test]
fn stems_add_up_to_song_with_dc() {
    let Some(model) = published(&on("cpu")) else { return };
    let song = demo(&model);
    // The DC is taken off both before the comparison, since it would make every result look better.
    let null_db = |dc: [f32; 2]| {
        let sum = sum(&split(&model, &with_dc(&song, dc), RATE_HZ, &floats()));
        snr_db(&song, &with_dc(&sum, dc.map(|x| -x)))
    };
    let plain_db = null_db([0.0; 2]);
    for dc in [[0.02, 0.02], [0.05, -0.03]] {
        let db = null_db(dc);
        println!("sum against song: {plain_db:.2} dB, with a DC of {dc:?} {db:.2} dB");
        assert!((db - plain_db).abs() < 0.5, "{db:.2} dB with a DC of {dc:?}, {plain_db:.2} dB without");
    }
}

#[test]
fn stems_of_brick_walled_song_add_up() {
    let Some(model) = published(&on("cpu")) else { return };
    let song: Vec<_> = demo(&model).into_iter().map(|f| f.map(|x| (8.0 * x).clamp(-1.0, 1.0))).collect();
    let exact = split(&model, &song, RATE_HZ, &floats());
    let exact_db = snr_db(&song, &sum(&exact));
    let each = sum_of(exact.report.files.iter().map(|file| {
        let stem = read(file).1;
        times(&stem, 1.0 / (1.01 * peak(&stem)).max(1.0))
    }));
    let split = split(&model, &song, RATE_HZ, &with(AudioFormat::Wav16, None));
    let gain = split.report.gain;
    assert!(gain < 1.0, "the stems of this song must clip for this test");
    let (db, each_db) = (snr_db(&times(&song, gain), &sum(&split)), snr_db(&song, &each));
    println!("gain {gain}: {db:.1} dB; in floats {exact_db:.1} dB, each stem on its own {each_db:.1} dB");
    assert!((db - exact_db).abs() < 0.5, "{db:.1} dB, in floats {exact_db:.1} dB");
}
