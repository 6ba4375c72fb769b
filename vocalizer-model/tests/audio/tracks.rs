//! Files with several audio tracks.

use std::path::{Path, PathBuf};

use vocalizer_model::audio::{AudioWarning, DecodeError, Frame, ReadOptions};

use super::measure::{track, try_read_with};
use super::support::{dir, ffmpeg};

/// Tones of 400 and 700 Hz.
const SOURCE: [&str; 8] = ["-f", "lavfi", "-i", "sine=400:r=48000:d=3", "-f", "lavfi", "-i", "sine=700:r=48000:d=3"];

fn mux(dir: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    ffmpeg(&SOURCE, &[&["-map", "0:a", "-map", "1:a"], arguments].concat(), &dir.join(name))
}

/// The frequency by counting the zero crossings of a second.
fn hz(frames: &[Frame]) -> u32 {
    let second = &frames[48_000..96_000];
    second.windows(2).filter(|pair| pair[0][0] <= 0.0 && pair[1][0] > 0.0).count() as u32
}

#[test]
fn the_default_track_is_read_and_any_can_be_chosen() {
    let dir = dir();
    for name in ["a.mkv", "a.mp4"] {
        for (flags, default) in [(["default", "0"], 1), (["0", "default"], 2)] {
            let arguments = ["-c:a", "aac", "-disposition:a:0", flags[0], "-disposition:a:1", flags[1]];
            let languages = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"];
            let path = mux(dir.path(), name, &[&arguments[..], &languages].concat());
            let (info, frames, warnings) = try_read_with(&path, &ReadOptions::default()).expect("a song");
            let tones = [400, 700];
            assert!(hz(&frames).abs_diff(tones[default - 1]) < 3, "{name}: {} Hz", hz(&frames));
            assert_eq!(warnings, [AudioWarning::SeveralTracks { track: default as u32, tracks: 2 }], "{name}");
            let defaults: Vec<bool> = info.tracks.iter().map(|track| track.is_default).collect();
            assert_eq!(defaults, [default == 1, default == 2], "{name}");
            let languages: Vec<_> = info.tracks.iter().map(|track| track.language.as_deref()).collect();
            // Matroska calls German "ger".
            assert_eq!(languages[0], Some("eng"), "{name}");
            assert!(matches!(languages[1], Some("deu" | "ger")), "{name}: {languages:?}");
            assert_eq!(info.tracks[0].rate_hz, Some(48_000), "{name}");
            for number in [1, 2] {
                let (_, frames, _) = try_read_with(&path, &track(number)).expect("a song");
                assert!(hz(&frames).abs_diff(tones[number as usize - 1]) < 3, "{name}: {} Hz", hz(&frames));
            }
            for number in [0, 3] {
                let error = try_read_with(&path, &track(number)).expect_err("no such track");
                assert!(matches!(error, DecodeError::NoSuchTrack { tracks: 2, .. }), "{error}");
            }
        }
    }
}

#[test]
fn a_track_that_cannot_be_decoded_is_passed_over() {
    let dir = dir();
    for name in ["a.mkv", "a.mp4"] {
        let arguments = ["-c:a:0", "ac3", "-c:a:1", "aac", "-disposition:a:0", "default", "-disposition:a:1", "0"];
        let path = mux(dir.path(), name, &arguments);
        let (info, frames, warnings) = try_read_with(&path, &ReadOptions::default()).expect("a song");
        assert!(hz(&frames).abs_diff(700) < 3, "{name}: {} Hz", hz(&frames));
        assert_eq!(warnings, [AudioWarning::SeveralTracks { track: 2, tracks: 2 }], "{name}");
        let tracks: Vec<_> = info.tracks.iter().map(|track| (track.codec, track.is_supported)).collect();
        assert_eq!(tracks, [("ac-3", false), ("aac", true)], "{name}");
        let error = try_read_with(&path, &track(1)).expect_err("AC-3");
        assert_eq!(error.format(), Some("ac-3"), "{name}: {error}");
    }
    let path = mux(dir.path(), "none.mkv", &["-c:a:0", "ac3", "-c:a:1", "eac3"]);
    let error = try_read_with(&path, &ReadOptions::default()).expect_err("no track that can be decoded");
    assert!(matches!(error, DecodeError::Unsupported(_)) && error.format() == Some("ac-3"), "{error}");
}

#[test]
fn single_tracks_are_listed_without_a_warning() {
    let dir = dir();
    let source = ["-f", "lavfi", "-i", "sine=400:r=48000:d=1"];
    for (name, codec) in [
        ("a.mp3", "mp3"),
        ("a.flac", "flac"),
        ("a.wav", "pcm"),
        ("a.ogg", "ogg vorbis"),
        ("a.m4a", "aac"),
        ("a.mka", "vorbis"),
        ("a.aac", "aac"),
    ] {
        let arguments: &[&str] = if name == "a.mka" || name == "a.ogg" { &["-c:a", "libvorbis"] } else { &[] };
        let path = ffmpeg(&source, arguments, &dir.path().join(name));
        let (info, _, warnings) = try_read_with(&path, &track(1)).expect("a song");
        assert_eq!(warnings, [], "{name}");
        assert_eq!(info.tracks.len(), 1, "{name}");
        assert_eq!((info.tracks[0].number, info.tracks[0].codec), (1, codec), "{name}");
        assert!(try_read_with(&path, &track(2)).is_err(), "{name}");
    }
}
