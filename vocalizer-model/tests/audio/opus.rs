//! Opus in its containers, compared with libopus.

use std::path::{Path, PathBuf};

use vocalizer_model::audio::{AudioFormat, Frame};

use super::support::{dir, ffmpeg, read, snr_db, song, try_read, write};

const RATE_HZ: u32 = 48_000;
const FRAMES: usize = 100_003;

fn encode(dir: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let original = dir.join("original.wav");
    write(&original, AudioFormat::Wav16, RATE_HZ, &song(FRAMES, RATE_HZ));
    ffmpeg(&["-i", original.to_str().expect("a plain path")], arguments, &dir.join(name))
}

#[test]
fn every_mode_matches_libopus() {
    let dir = dir();
    for arguments in [
        &["-b:a", "12k", "-application", "voip"][..],
        &["-b:a", "24k", "-application", "voip", "-frame_duration", "60"],
        &["-b:a", "32k", "-vbr", "off"],
        &["-b:a", "64k", "-frame_duration", "40"],
        &["-b:a", "96k", "-frame_duration", "2.5"],
        &["-b:a", "510k"],
    ] {
        let path = encode(dir.path(), "song.opus", &[&["-c:a", "libopus"], arguments].concat());
        let (info, frames) = read(&path);
        assert_eq!((info.format, info.rate_hz, info.channels), ("opus", RATE_HZ, 2));
        assert_eq!((frames.len(), info.frames), (FRAMES, Some(FRAMES as u64)), "{arguments:?}");
        // The reference decoder; ffmpeg's own uses other filters for speech at low rates.
        let input = ["-c:a", "libopus", "-i", path.to_str().expect("a plain path")];
        let expected = read(&ffmpeg(&input, &["-c:a", "pcm_f32le"], &dir.path().join("expected.wav"))).1;
        let db = snr_db(&expected, &frames);
        assert!(db > 40.0, "{arguments:?}: {db:.1} dB");
    }
}

#[test]
fn every_container_keeps_alignment() {
    let dir = dir();
    for name in ["song.opus", "song.webm", "song.mka", "song.mp4"] {
        let path = encode(dir.path(), name, &["-c:a", "libopus", "-b:a", "510k"]);
        let (info, frames) = read(&path);
        assert_eq!(info.format, "opus", "{name}");
        // All of them state the frames to drop at both ends, but the times of Matroska are rounded to milliseconds.
        assert_eq!(frames.len(), FRAMES, "{name}");
        let db = snr_db(&song(FRAMES, RATE_HZ), &frames);
        assert!(db > 30.0, "{name}: {db:.1} dB");
    }
}

#[test]
fn mono_is_duplicated() {
    let dir = dir();
    let path = encode(dir.path(), "mono.opus", &["-ac", "1", "-c:a", "libopus", "-b:a", "200k"]);
    let (info, frames) = read(&path);
    assert_eq!((info.channels, frames.len()), (1, FRAMES));
    let mono: Vec<Frame> = song(FRAMES, RATE_HZ).into_iter().map(|[left, right]| [(left + right) / 2.0; 2]).collect();
    assert!(snr_db(&mono, &frames) > 30.0);
}

#[test]
fn surround_channels_are_mapped_correctly() {
    let dir = dir();
    for (layout, voices) in [("3.0", 3), ("quad", 4), ("5.0", 5), ("5.1", 6), ("6.1", 7), ("7.1", 8)] {
        // Each channel has its own tone and level, so that no two can be confused.
        let voices: Vec<_> = (1..=voices).map(|k| format!("0.0{}*sin({}*t)", k + 1, 900 * k)).collect();
        let source = format!("aevalsrc={}:s=48000:c={layout}:d=2", voices.join("|"));
        let source = ["-f", "lavfi", "-i", &source];
        let exact = read(&ffmpeg(&source, &[], &dir.path().join("song.flac"))).1;
        let bitrate = format!("{}k", 96 * voices.len());
        let opus = ["-c:a", "libopus", "-b:a", &bitrate, "-mapping_family", "1"];
        let (info, frames) = read(&ffmpeg(&source, &opus, &dir.path().join("song.opus")));
        assert_eq!(usize::from(info.channels), voices.len());
        let db = snr_db(&exact, &frames);
        assert!(db > 20.0, "{layout}: {db:.1} dB");
    }
}

/// The padding at the end of Opus in Matroska and WebM, for all lengths of packets.
#[test]
fn padding_in_matroska_is_dropped() {
    let dir = dir();
    for duration in ["2.5", "10", "20", "60"] {
        for name in ["song.webm", "song.mka"] {
            let path = encode(dir.path(), name, &["-c:a", "libopus", "-b:a", "256k", "-frame_duration", duration]);
            let (_, frames) = read(&path);
            assert_eq!(frames.len(), FRAMES, "{name} of {duration} ms");
            assert!(snr_db(&song(FRAMES, RATE_HZ), &frames) > 25.0, "{name} of {duration} ms");
        }
    }
}

/// Encodes the song as `name` and finds its Opus header; MP4 stores it without its name in a `dOps` box.
fn with_header(dir: &Path, name: &str) -> (PathBuf, Vec<u8>, usize) {
    let path = encode(dir, name, &["-c:a", "libopus"]);
    let bytes = std::fs::read(&path).expect("a file");
    let find = |mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
    let head = find(b"OpusHead").or_else(|| find(b"dOps").map(|at| at - 4)).expect("the header");
    (path, bytes, head)
}

/// RFC 7845: the header can set a gain, which every player must apply.
#[test]
fn header_gain_is_applied() {
    let dir = dir();
    for (name, gain) in [("song.mka", (-6 * 256_i16).to_le_bytes()), ("song.mp4", (-6 * 256_i16).to_be_bytes())] {
        let (path, mut bytes, head) = with_header(dir.path(), name);
        let plain = read(&path).1;
        bytes[head + 16..head + 18].copy_from_slice(&gain);
        std::fs::write(&path, &bytes).expect("a written file");
        let softer: Vec<Frame> = plain.iter().map(|frame| frame.map(|x| x * 10_f32.powf(-6.0 / 20.0))).collect();
        assert!(snr_db(&softer, &read(&path).1) > 80.0, "{name}");
    }
}

#[test]
fn invalid_headers_are_rejected() {
    let dir = dir();
    let (path, bytes, head) = with_header(dir.path(), "song.mka");
    for (at, value, says) in [
        (9, 0, "0 channels"),
        (9, 3, "3 channels"),
        // The channel table, required for more than two channels, is missing.
        (18, 1, "is truncated"),
        (18, 2, "ambisonic"),
        (18, 255, "is truncated"),
        (18, 9, "mapping family 9"),
    ] {
        let mut bytes = bytes.clone();
        bytes[head + at] = value;
        std::fs::write(&path, &bytes).expect("a written file");
        let error = try_read(&path).expect_err("an invalid header");
        assert!(error.to_string().contains(says), "{at}: {value}: {error}");
    }
    let surround = ["-f", "lavfi", "-i", "anoisesrc=r=48000:d=1", "-ac", "6"];
    let opus = ["-c:a", "libopus", "-mapping_family", "1"];
    let path = ffmpeg(&surround, &opus, &dir.path().join("surround.mka"));
    let mut bytes = std::fs::read(&path).expect("a file");
    let head = bytes.windows(8).position(|window| window == b"OpusHead").expect("the header");
    // More coupled streams than streams.
    bytes[head + 20] = 9;
    std::fs::write(&path, &bytes).expect("a written file");
    let error = try_read(&path).expect_err("an invalid header");
    assert!(error.to_string().contains("is inconsistent"), "{error}");
}
