//! A part of a song, files of one channel, and what the reader reports.

use vocalizer_model::audio::{AudioFormat, Frame};
use vocalizer_model::{Error, SplitOptions, Stem, split_file};

use super::support::{as_reference, floats, split, tiny};
use crate::audio::support::{RATE_HZ, dir, ffmpeg, read, snr_db, song, write};

fn part(start_s: Option<f64>, end_s: Option<f64>) -> SplitOptions {
    let mut options = floats();
    (options.start_s, options.end_s) = (start_s, end_s);
    options
}

#[test]
fn part_is_split_like_a_song_of_its_own() {
    let model = tiny("tiny-4s");
    for rate_hz in [RATE_HZ, 48_000, 22_050] {
        let whole = song(3 * rate_hz as usize, rate_hz);
        for (start_s, end_s) in
            [(Some(0.7), Some(2.1)), (None, Some(0.5)), (Some(1.234_567), None), (Some(0.0), Some(3.0))]
        {
            let frame = |s: f64| (0..whole.len()).find(|&n| n as f64 + 0.5 > s * f64::from(rate_hz));
            let first = frame(start_s.unwrap_or(0.0)).expect("a frame of the song");
            let cut = &whole[first..end_s.and_then(frame).unwrap_or(whole.len())];
            let expected = split(&model, cut, rate_hz, &floats());
            let found = split(&model, &whole, rate_hz, &part(start_s, end_s));
            assert_eq!(found.report.frames, cut.len() as u64, "{start_s:?} to {end_s:?} at {rate_hz} Hz");
            assert_eq!(found.report.start_s, start_s.unwrap_or(0.0));
            assert_eq!(found.report.seconds, cut.len() as f64 / f64::from(rate_hz));
            assert_eq!(found.all().len(), cut.len() * model.sources().len());
            let db = snr_db(&expected.all(), &found.all());
            assert!(db > 90.0, "{start_s:?} to {end_s:?} at {rate_hz} Hz: {db:.1} dB");
        }
    }
}

#[test]
fn part_of_compressed_song_has_exact_position() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let original = dir.path().join("song.wav");
    write(&original, AudioFormat::Wav16, RATE_HZ, &song(4 * RATE_HZ as usize, RATE_HZ));
    for name in ["song.mp3", "song.m4a", "song.ogg"] {
        let input = ffmpeg(&["-i", original.to_str().expect("a plain path")], &[], &dir.path().join(name));
        let whole = read(&input).1;
        let out = dir.path().join(name).with_extension("stems");
        let report = split_file(&model, &input, &out, &part(Some(1.5), Some(2.75))).expect("a part");
        let cut = &whole[3 * RATE_HZ as usize / 2..11 * RATE_HZ as usize / 4];
        let expected = split(&model, cut, RATE_HZ, &floats());
        let found: Vec<Frame> = report.files.iter().flat_map(|file| read(file).1).collect();
        assert_eq!(report.frames, cut.len() as u64);
        let db = snr_db(&expected.all(), &found);
        assert!(db > 90.0, "{name}: {db:.1} dB");
    }
}

#[test]
fn part_beyond_end_is_an_error_that_states_length() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let input = dir.path().join("song.wav");
    write(&input, AudioFormat::Wav16, RATE_HZ, &song(RATE_HZ as usize / 2, RATE_HZ));
    let out = dir.path().join("stems");
    for (start_s, end_s, says) in [
        (None, Some(0.6), "ends after"),
        (Some(0.2), Some(1e9), "ends after"),
        (Some(0.5), None, "starts after"),
        (Some(7.0), None, "starts after"),
    ] {
        let error = split_file(&model, &input, &out, &part(start_s, end_s)).expect_err("an error");
        assert!(matches!(error, Error::Part { song_s: 0.5, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("0.500 s"), "{text}");
        assert!(!out.exists(), "the output folder was left");
    }
    let tiny_part = split_file(&model, &input, &out, &part(Some(0.1), Some(0.100_000_1)));
    assert!(matches!(tiny_part, Err(Error::Options(_))), "{tiny_part:?}");
}

#[test]
fn mono_files_have_one_channel_with_the_average() {
    let model = tiny("tiny-4s");
    // An odd number of bytes in 24 bits, which needs padding.
    let song: Vec<_> = song(50_001, RATE_HZ).iter().map(|f| f.map(|x| x * 0.2)).collect();
    let exact = split(&model, &song, RATE_HZ, &floats()).stem(Stem::BASS);
    let average: Vec<Frame> = exact.iter().map(|[left, right]| [(left + right) / 2.0; 2]).collect();
    for (format, at_least_db) in [
        (AudioFormat::WavF32, 120.0),
        (AudioFormat::Wav24, 60.0),
        (AudioFormat::Wav16, 20.0),
        (AudioFormat::Flac, 20.0),
        #[cfg(feature = "mp3")]
        (AudioFormat::Mp3(vocalizer_model::audio::Bitrate::Cbr(320)), 6.0),
        #[cfg(feature = "mp3")]
        (AudioFormat::Mp3(vocalizer_model::audio::Bitrate::Vbr(0)), 4.0),
    ] {
        let mut options = floats();
        (options.format, options.mono) = (format, true);
        let split = split(&model, &song, RATE_HZ, &options);
        let file = split.dir.path().join("stems").join(format!("bass.{}", format.extension()));
        let (info, frames) = read(&file);
        assert_eq!((info.channels, frames.len()), (1, song.len()), "{format:?}");
        let db = snr_db(&average, &frames);
        println!("{format:?}: {db:.1} dB");
        assert!(db > at_least_db, "{format:?}: {db:.1} dB");
        let (channels, samples) = by_ffmpeg(&file);
        assert_eq!((channels.as_str(), samples), ("1", song.len()), "{format:?}");
    }
}

/// The number of channels and of samples that ffmpeg finds in a file, without an error.
fn by_ffmpeg(file: &std::path::Path) -> (String, usize) {
    let run = |program: &str, arguments: &[&str], rest: &[&str]| {
        let mut command = std::process::Command::new(program);
        let done =
            command.args(arguments).arg(file).args(rest).output().expect("ffmpeg is required (./test installs it)");
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let probe = ["-v", "error", "-show_entries", "stream=channels", "-of", "csv=p=0", "-i"];
    let channels = String::from_utf8(run("ffprobe", &probe, &[])).expect("a number").trim().to_owned();
    let samples = run("ffmpeg", &["-v", "error", "-nostdin", "-xerror", "-i"], &["-f", "f32le", "-"]);
    (channels, samples.len() / 4)
}

#[test]
fn mono_song_can_stay_mono() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let whole = dir.path().join("stereo.wav");
    write(&whole, AudioFormat::Wav16, RATE_HZ, &song(40_000, RATE_HZ));
    let input = ffmpeg(&["-i", whole.to_str().expect("a plain path")], &["-ac", "1"], &dir.path().join("mono.flac"));
    assert_eq!(read(&input).0.channels, 1);
    let mut options = SplitOptions::default();
    options.mono = true;
    let report = split_file(&model, &input, &dir.path().join("stems"), &options).expect("stems");
    for file in &report.files {
        let (info, frames) = read(file);
        assert_eq!((info.channels, frames.len()), (1, 40_000), "{}", file.display());
    }
}

#[test]
fn damaged_song_is_split_with_a_warning_unless_strict() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let input = dir.path().join("song.wav");
    write(&input, AudioFormat::Wav16, RATE_HZ, &song(2 * RATE_HZ as usize, RATE_HZ));
    let bytes = std::fs::read(&input).expect("the file");
    std::fs::write(&input, &bytes[..44 + 4 * RATE_HZ as usize]).expect("a cut file");
    let mut options = as_reference();
    let report = split_file(&model, &input, &dir.path().join("stems"), &options).expect("what is there");
    assert_eq!(report.frames, u64::from(RATE_HZ));
    let codes: Vec<_> = report.warnings.iter().map(vocalizer_model::audio::AudioWarning::code).collect();
    assert_eq!(codes, ["ends_early"]);
    options.read.strict = true;
    let refused = split_file(&model, &input, &dir.path().join("strict"), &options);
    assert!(matches!(refused, Err(Error::Decode { .. })), "{refused:?}");
}
