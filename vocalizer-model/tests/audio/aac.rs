//! AAC of all kinds: HE-AAC however it is signalled, more than two channels, and LC at low rates.

use std::path::{Path, PathBuf};

use syom::EncodeOptions;
use vocalizer_model::audio::{AudioFormat, Frame};

use super::measure::by_ffmpeg;
use super::support::{dir, ffmpeg, read, snr_db, song, write};

/// The delay of the encoder of HE-AAC in frames.
const HE_DELAY: usize = 3_018;

fn encode(frames: &[Frame], rate_hz: u32, options: &EncodeOptions, path: &Path) -> PathBuf {
    let planes: Vec<Vec<f32>> = (0..2).map(|side| frames.iter().map(|frame| frame[side]).collect()).collect();
    std::fs::write(path, syom::encode_with(&planes, rate_hz, options).expect("an encoded song")).expect("a file");
    path.to_owned()
}

/// Chords, with noise up to half the sample rate.
fn bright(rate_hz: u32) -> Vec<Frame> {
    let mut state = 1_u32;
    song(4 * rate_hz as usize, rate_hz)
        .into_iter()
        .map(|frame| {
            frame.map(|sample| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sample * 0.7 + (state >> 8) as f32 / 16_777_216.0 * 0.1 - 0.05
            })
        })
        .collect()
}

/// Compares with ffmpeg from the first frame on; both trim alike.
fn assert_like_ffmpeg(path: &Path, rate_hz: u32, db: f64) {
    let name = path.display();
    let (info, ours) = read(path);
    assert_eq!((info.format, info.rate_hz), ("aac", rate_hz), "{name}");
    let theirs = by_ffmpeg(path, &[]);
    assert!(ours.len().abs_diff(theirs.len()) <= 2_048, "{name}: {} and {}", ours.len(), theirs.len());
    let snr = snr_db(&theirs[4_096..], &ours[4_096..]);
    assert!(snr > db, "{name}: {snr:.1} dB");
}

#[test]
fn he_aac_is_decoded_however_it_is_signalled() {
    let dir = dir();
    for (version, options) in [
        ("v1", EncodeOptions::adts().with_he(true).with_bitrate_bps(64_000)),
        ("v2", EncodeOptions::adts().with_he_v2(true).with_bitrate_bps(48_000)),
    ] {
        for rate_hz in [44_100, 48_000, 32_000] {
            let at = |name: &str| dir.path().join(format!("{version}-{rate_hz}-{name}"));
            let song = bright(rate_hz);
            // Only the payload tells.
            let adts = encode(&song, rate_hz, &options, &at("implicit.aac"));
            assert_like_ffmpeg(&adts, rate_hz, 40.0);
            // The header tells. It also states the delay, which ADTS does not.
            let mut explicit = options.clone();
            explicit.container = syom::EncodeContainer::M4a;
            let made = encode(&song, rate_hz, &explicit, &at("made.m4a"));
            let copy = |from: &Path, name: &str| {
                ffmpeg(&["-i", from.to_str().expect("a plain path")], &["-c", "copy"], &at(name))
            };
            // The encoder's own file lacks a descriptor.
            let (info, frames) = read(&copy(&made, "explicit.m4a"));
            assert_eq!((info.rate_hz, frames.len()), (rate_hz, song.len()), "{version}");
            let snr = snr_db(&read(&adts).1[HE_DELAY..], &frames);
            assert!(snr > 60.0, "{version} at {rate_hz} Hz: {snr:.1} dB");
            // ffmpeg writes the header of plain AAC for the implicit kind.
            assert_like_ffmpeg(&copy(&adts, "implicit.m4a"), rate_hz, 40.0);
            assert_like_ffmpeg(&copy(&adts, "implicit.mka"), rate_hz, 40.0);
            let (info, frames) = read(&copy(&made, "explicit.mka"));
            assert_eq!(info.rate_hz, rate_hz, "{version}");
            let snr = snr_db(&read(&adts).1, &frames);
            assert!(snr > 60.0, "{version} at {rate_hz} Hz in Matroska: {snr:.1} dB");
        }
    }
}

#[test]
fn plain_aac_at_low_rates_keeps_its_rate() {
    let dir = dir();
    for rate_hz in [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000] {
        let original = dir.path().join("original.wav");
        write(&original, AudioFormat::Wav16, rate_hz, &song(3 * rate_hz as usize, rate_hz));
        for name in ["a.aac", "a.m4a", "a.mka"] {
            let input = ["-i", original.to_str().expect("a plain path")];
            let path = ffmpeg(&input, &["-c:a", "aac", "-b:a", "64k"], &dir.path().join(name));
            assert_like_ffmpeg(&path, rate_hz, 80.0);
        }
    }
}

#[test]
fn more_than_two_channels_are_mixed_down() {
    let dir = dir();
    for (layout, voices) in [("3.0", 3), ("4.0", 4), ("5.0", 5), ("5.1", 6), ("7.1", 8)] {
        // Each channel has its own tone and level, so that no two can be confused.
        let voices: Vec<_> = (1..=voices).map(|k| format!("0.0{}*sin({}*t)", k + 1, 900 * k)).collect();
        let source = format!("aevalsrc={}:s=48000:c={layout}:d=2", voices.join("|"));
        let source = ["-f", "lavfi", "-i", &source];
        let exact = read(&ffmpeg(&source, &["-c:a", "pcm_f32le"], &dir.path().join("song.wav"))).1;
        for name in ["song.aac", "song.m4a", "song.mka"] {
            let path = ffmpeg(&source, &["-c:a", "aac", "-b:a", "700k"], &dir.path().join(name));
            let (info, frames) = read(&path);
            assert_eq!(usize::from(info.channels), voices.len(), "{name}");
            // ADTS and Matroska do not state the encoder's delay.
            let skip = if name == "song.m4a" { 0 } else { 1_024 };
            let snr = snr_db(&exact[4_096..90_000], &frames[4_096 + skip..]);
            assert!(snr > 20.0, "{name} of {layout}: {snr:.1} dB");
        }
    }
}
