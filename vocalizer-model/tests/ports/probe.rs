//! Probing: accepted formats, and errors for other files.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{AudioError, AudioFacts, AudioProbe as _};
use vocalizer_model::audio::{AudioFormat, AudioLimits};
use vocalizer_model::ports::FileProbe;

use crate::audio::support::{RATE_HZ, dir, ffmpeg, song, wav, write};

async fn probe(path: &Path) -> Result<AudioFacts, AudioError> {
    probe_with(AudioLimits::default(), path).await
}

async fn probe_with(limits: AudioLimits, path: &Path) -> Result<AudioFacts, AudioError> {
    FileProbe::new(limits).probe(Box::new(File::open(path).expect("a file"))).await
}

/// The error for a file with these bytes.
async fn probe_error(bytes: &[u8]) -> AudioError {
    let dir = dir();
    let path = dir.path().join("song.mp3");
    std::fs::write(&path, bytes).expect("a written file");
    let error = probe(&path).await.expect_err("an error");
    let text = error.to_string();
    assert!(
        !text.contains("song.mp3") && !text.contains(&*dir.path().to_string_lossy()),
        "the message contains a path: {text}"
    );
    assert!(!text.contains('\n'), "the message has more than one line: {text}");
    error
}

#[tokio::test]
async fn every_format_is_probed() {
    let dir = dir();
    let original = dir.path().join("original");
    write(&original, AudioFormat::Wav24, RATE_HZ, &song(2 * RATE_HZ as usize, RATE_HZ));
    let input = original.to_str().expect("a plain path");
    for (name, codec, format, stated) in [
        ("a.mp3", "libmp3lame", "mp3", true),
        ("a.flac", "flac", "flac", true),
        ("a.wav", "pcm_s16le", "wav", true),
        ("a.aiff", "pcm_s16be", "aiff", true),
        ("a.ogg", "libvorbis", "ogg vorbis", true),
        ("a.m4a", "aac", "aac", true),
        ("b.m4a", "alac", "alac", true),
        ("a.aac", "aac", "aac", false),
        ("a.mkv", "flac", "flac", false),
    ] {
        let path = ffmpeg(&["-i", input], &["-c:a", codec], &dir.path().join(name));
        let facts = probe(&path).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((facts.format.as_str(), facts.rate_hz, facts.channels), (format, RATE_HZ, 2), "{name}");
        assert!(facts.duration_ms.is_none_or(|ms| ms == 2_000), "{name}: {facts:?}");
        assert!(facts.duration_ms.is_some() || !stated, "{name}: {facts:?}");
    }
    #[cfg(feature = "opus")]
    {
        let path = ffmpeg(&["-i", input], &["-c:a", "libopus"], &dir.path().join("a.opus"));
        assert_eq!(probe(&path).await.expect("a song").rate_hz, 48_000);
    }
}

#[tokio::test]
async fn non_audio_is_rejected_whatever_its_name() {
    let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[7; 9_000]].concat();
    let dir = dir();
    let silent_video = ["-f", "lavfi", "-i", "color=black:s=64x64:d=1"];
    let video = ffmpeg(&silent_video, &["-c:v", "mpeg4"], &dir.path().join("a.mp4"));
    let video = std::fs::read(video).expect("the video");
    let beginning = [b"\xff\xfb\x90\x64".as_slice(), &[0x55; 5_000]].concat();
    for file in [b"<!doctype html><title>404</title>".as_slice(), &png, &video, b"", &[0; 5_000], &beginning] {
        let error = probe_error(file).await;
        assert!(matches!(error, AudioError::Malformed { .. }) && error.is_permanent(), "{error:?}");
    }
    let says = "not a valid audio file: unknown format; use MP3, FLAC, WAV, AIFF, Ogg Vorbis, Opus, \
                AAC/M4A or ALAC";
    assert_eq!(probe_error(b"hello").await.to_string(), says);
}

/// A damaged song is split as far as it can be decoded.
#[tokio::test]
async fn cut_song_is_accepted() {
    let dir = dir();
    let path = dir.path().join("song");
    std::fs::write(&path, wav(1, 2, 44_100, 16, &[1; 400], 4_000_000)).expect("a written file");
    let facts = probe(&path).await.expect("a song");
    assert_eq!((facts.format.as_str(), facts.rate_hz, facts.channels), ("wav", 44_100, 2));
}

#[tokio::test]
async fn unsupported_format_differs_from_malformed_data() {
    let error = probe_error(b"MThd\0\0\0\x06\0\x01\0\x01").await;
    assert!(matches!(error, AudioError::Unsupported { .. }) && error.is_permanent(), "{error:?}");
}

#[tokio::test]
async fn audio_above_service_limits_is_rejected() {
    let dir = dir();
    let path = dir.path().join("song");
    let limits = AudioLimits::from(&Limits { max_duration_s: 1, ..Limits::default() });
    write(&path, AudioFormat::Flac, RATE_HZ, &song(RATE_HZ as usize + 1, RATE_HZ));
    let error = probe_with(limits, &path).await.expect_err("an error");
    assert!(matches!(error, AudioError::Limit { .. }) && error.is_permanent(), "{error:?}");
    assert!(probe(&path).await.is_ok());
    assert!(matches!(probe_error(&wav(1, 9, 44_100, 16, &[0; 36], 36)).await, AudioError::Limit { .. }));
}

/// Fails like a broken disk.
struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken disk"))
    }
}

impl Seek for Unreadable {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(1_000)
    }
}

#[tokio::test]
async fn unreadable_file_is_a_temporary_error() {
    let error = FileProbe::new(AudioLimits::default()).probe(Box::new(Unreadable)).await.expect_err("a broken disk");
    assert!(matches!(error, AudioError::Failed(_)) && !error.is_permanent(), "{error:?}");
}

#[tokio::test]
async fn bytes_in_memory_are_probed() {
    let bytes = wav(1, 2, 44_100, 16, &[0; 4 * 44_100], 4 * 44_100);
    let facts = FileProbe::new(AudioLimits::default()).probe(Box::new(Cursor::new(bytes))).await.expect("a song");
    assert_eq!((facts.format.as_str(), facts.duration_ms), ("wav", Some(1_000)));
}

#[tokio::test]
async fn many_probes_can_wait_for_one_slot() {
    let dir = dir();
    let path = dir.path().join("song");
    write(&path, AudioFormat::Wav16, RATE_HZ, &song(20_000, RATE_HZ));
    let probe = FileProbe::new(AudioLimits::default()).with_at_once(0);
    let probes: Vec<_> = (0..20)
        .map(|_| {
            let (probe, path) = (probe.clone(), path.clone());
            tokio::spawn(async move { probe.probe(Box::new(File::open(&path).expect("a file"))).await })
        })
        .collect();
    for probe in probes {
        assert_eq!(probe.await.expect("no panic").expect("a song").duration_ms, Some(453));
    }
}
