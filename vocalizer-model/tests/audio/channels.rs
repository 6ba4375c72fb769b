//! More than two channels: which is which, in every container and codec.

use std::path::Path;

use vocalizer_model::audio::Frame;

use super::support::{dir, ffmpeg, read, snr_db};

/// A source of ffmpeg in which each channel has its own tone and level, so that no two can be confused.
fn voices(layout: &str, channels: usize) -> String {
    let voices: Vec<_> = (1..=channels).map(|k| format!("0.0{}*sin({}*t)", k + 1, 900 * k)).collect();
    format!("aevalsrc={}:s=48000:c={layout}:d=1", voices.join("|"))
}

/// What ffmpeg decodes, mixed down by the positions that it states.
fn expected(path: &Path) -> Vec<Frame> {
    let input = ["-i", path.to_str().expect("a plain path")];
    read(&ffmpeg(&input, &["-c:a", "pcm_f32le"], &path.with_extension("expected.wav"))).1
}

#[test]
fn vorbis_of_any_number_of_channels_matches_ffmpeg() {
    let dir = dir();
    for (layout, channels) in [("3.0", 3), ("quad", 4), ("5.0", 5), ("5.1", 6), ("6.1", 7), ("7.1", 8)] {
        let source = voices(layout, channels);
        for name in ["a.ogg", "a.mka"] {
            let path =
                ffmpeg(&["-f", "lavfi", "-i", &source], &["-c:a", "libvorbis", "-q:a", "5"], &dir.path().join(name));
            let (info, frames) = read(&path);
            assert_eq!(usize::from(info.channels), channels, "{name}");
            assert!(frames.len().abs_diff(48_000) < 1_024, "{name} of {layout}: {} frames", frames.len());
            let snr = snr_db(&expected(&path), &frames);
            assert!(snr > 80.0, "{name} of {layout}: {snr:.1} dB");
        }
    }
}

#[test]
fn alac_of_seven_and_eight_channels_keeps_their_order() {
    let dir = dir();
    for (layout, channels) in [("5.1", 6), ("6.1(back)", 7), ("7.1(wide)", 8)] {
        let source = voices(layout, channels);
        for name in ["a.m4a", "a.mov", "a.mka", "a.caf"] {
            let path = ffmpeg(&["-f", "lavfi", "-i", &source], &["-c:a", "alac"], &dir.path().join(name));
            let (info, frames) = read(&path);
            assert_eq!((info.format, usize::from(info.channels)), ("alac", channels), "{name}");
            let snr = snr_db(&expected(&path), &frames);
            assert!(snr > 120.0, "{name} of {layout}: {snr:.1} dB");
        }
    }
}

/// Only one channel sounds, and only its position tells where: the third is the centre or at the rear left, the fourth has the
/// low frequencies, which are left out, or is at the rear right.
#[test]
fn four_channels_are_quadraphonic_or_3_1_as_stated() {
    let dir = dir();
    let is_left = |frame: &Frame| frame[0].abs() > 0.1 && frame[1].abs() < 1e-6;
    let is_right = |frame: &Frame| frame[1].abs() > 0.1 && frame[0].abs() < 1e-6;
    let is_centre = |frame: &Frame| frame[0].abs() > 0.1 && (frame[0] - frame[1]).abs() < 1e-6;
    let is_silent = |frame: &Frame| frame.iter().all(|sample| sample.abs() < 1e-6);
    for (name, codec) in [
        ("a.wav", "pcm_s16le"),
        ("a.w64", "pcm_s16le"),
        ("a.caf", "pcm_s16le"),
        ("a.mov", "pcm_s16le"),
        ("a.flac", "flac"),
        ("a.mka", "flac"),
    ] {
        for (layout, sounding, is_right_place) in [
            ("3.1", "0|0|0.5|0", &is_centre as &dyn Fn(&Frame) -> bool),
            ("3.1", "0|0|0|0.5", &is_silent),
            ("quad", "0|0|0.5|0", &is_left),
            ("quad", "0|0|0|0.5", &is_right),
        ] {
            let source = format!("aevalsrc={sounding}:s=48000:c={layout}:d=0.2");
            let path = ffmpeg(&["-f", "lavfi", "-i", &source], &["-c:a", codec], &dir.path().join(name));
            let (info, frames) = read(&path);
            assert_eq!((info.channels, frames.len()), (4, 9_600), "{name}");
            assert!(frames.iter().all(is_right_place), "{name} of {layout} with {sounding}: {:?}", frames[4_800]);
        }
    }
}

#[test]
fn aac_that_describes_its_channels_in_the_stream_is_decoded() {
    let dir = dir();
    for (layout, channels) in [("2.1", 3), ("quad", 4), ("5.0(side)", 5)] {
        let source = voices(layout, channels);
        let path = ffmpeg(&["-f", "lavfi", "-i", &source], &["-c:a", "aac", "-b:a", "500k"], &dir.path().join("a.aac"));
        // The header's number of channels is 0.
        let bytes = std::fs::read(&path).expect("the file");
        assert_eq!((bytes[2] & 1, bytes[3] >> 6), (0, 0), "{layout}");
        let (info, frames) = read(&path);
        assert_eq!((info.format, usize::from(info.channels)), ("aac", channels), "{layout}");
        let snr = snr_db(&expected(&path), &frames);
        assert!(snr > 60.0, "{layout}: {snr:.1} dB");
    }
}

/// Opus without positions, as for instruments, has them in the usual order.
#[cfg(feature = "opus")]
#[test]
fn opus_without_positions_is_mixed_in_the_usual_order() {
    let dir = dir();
    let source = voices("5.1", 6);
    let encode = |family: &str, name: &str| {
        let arguments = ["-c:a", "libopus", "-b:a", "600k", "-mapping_family", family];
        read(&ffmpeg(&["-f", "lavfi", "-i", &source], &arguments, &dir.path().join(name))).1
    };
    let (named, unnamed) = (encode("1", "named.opus"), encode("255", "unnamed.opus"));
    let snr = snr_db(&named[..40_000], &unnamed[..40_000]);
    assert!(snr > 15.0, "{snr:.1} dB");
}
