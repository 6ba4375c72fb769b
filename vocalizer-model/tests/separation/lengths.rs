//! Stems have exactly the length and alignment of the song.

use vocalizer_model::audio::AudioFormat;
use vocalizer_model::{SplitOptions, split_file};

use super::support::{floats, peak, split, tiny};
use crate::audio::support::{RATE_HZ, dir, read, snr_db, song, write};

#[test]
fn every_song_length_is_kept_exactly() {
    let model = tiny("tiny-4s");
    let segment = model.segment_frames();
    for frames in [1, 2, 1_023, 4_410, segment - 1, segment, segment + 1, 2 * segment + 777] {
        let split = split(&model, &song(frames, RATE_HZ), RATE_HZ, &floats());
        assert_eq!(split.report.frames, frames as u64);
        for stem in model.sources() {
            let stem = split.stem(*stem);
            assert_eq!(stem.len(), frames, "a song of {frames} frames");
            assert!(stem.iter().flatten().all(|x| x.is_finite()), "a song of {frames} frames");
        }
    }
}

#[test]
fn single_frame_with_different_channels() {
    let model = tiny("tiny-4s");
    let split = split(&model, &[[1.0, -0.5]], RATE_HZ, &floats());
    assert!(split.all().iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn every_format_keeps_length_and_alignment() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let frames = 50_001;
    // Quiet enough that no stem clips and is rescaled.
    let song: Vec<_> = song(frames, RATE_HZ).into_iter().map(|frame| frame.map(|x| x / 2.0)).collect();
    let formats = [
        ("wavf32", AudioFormat::WavF32, 100.0),
        ("wav24", AudioFormat::Wav24, 60.0),
        ("wav", AudioFormat::Wav16, 20.0),
        ("flac", AudioFormat::Flac, 20.0),
        #[cfg(feature = "mp3")]
        ("mp3", AudioFormat::Mp3(vocalizer_model::audio::Bitrate::Cbr(320)), 6.0),
        #[cfg(feature = "mp3")]
        ("vbr", AudioFormat::Mp3(vocalizer_model::audio::Bitrate::Vbr(2)), 6.0),
    ];
    let mut exact = None;
    for (name, format, at_least_db) in formats {
        let input = dir.path().join(format!("{name}.{}", format.extension()));
        write(&input, format, RATE_HZ, &song);
        assert_eq!(read(&input).1.len(), frames, "{name} in");
        let mut options = SplitOptions::default();
        options.format = format;
        let report = split_file(&model, &input, &dir.path().join(name), &options).expect("a split song");
        assert_eq!(report.frames, frames as u64, "{name}");
        let stems: Vec<_> = report.files.iter().flat_map(|file| read(file).1).collect();
        assert_eq!(stems.len(), frames * model.sources().len(), "{name}");
        // The stems differ only by two passes of lossy encoding and the random model's response to it; a shifted stem
        // would be below 0 dB.
        let exact = exact.get_or_insert_with(|| stems.clone());
        let db = snr_db(exact, &stems);
        println!("{name}: {db:.1} dB");
        assert!(db > at_least_db, "{name}: {db:.1} dB");
    }
}

#[test]
fn silence_has_silent_stems() {
    let model = tiny("tiny-4s");
    for frames in [1, 30_000, 100_000] {
        let split = split(&model, &vec![[0.0; 2]; frames], RATE_HZ, &floats());
        let stems = split.all();
        assert_eq!(stems.len(), frames * model.sources().len());
        assert_eq!(peak(&stems), 0.0);
    }
}

#[test]
fn stems_keep_song_rate_or_use_model_rate() {
    let model = tiny("tiny-4s");
    let frames = 60_001;
    for rate_hz in [8_000, 22_050, 48_000, 96_000] {
        let input = song(frames, rate_hz);
        let kept = split(&model, &input, rate_hz, &floats());
        assert_eq!((kept.report.rate_hz, kept.report.frames), (rate_hz, frames as u64));
        assert_eq!(kept.stem(model.sources()[0]).len(), frames);

        let mut options = floats();
        options.keep_rate = false;
        let changed = split(&model, &input, rate_hz, &options);
        assert_eq!(changed.report.rate_hz, RATE_HZ);
        let expected = (frames as u64 * u64::from(RATE_HZ) + u64::from(rate_hz) / 2) / u64::from(rate_hz);
        assert_eq!(changed.report.frames, expected);
        assert_eq!(changed.stem(model.sources()[0]).len() as u64, expected);
    }
}
