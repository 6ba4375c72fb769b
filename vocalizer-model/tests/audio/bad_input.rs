//! Invalid, truncated and damaged files give a clear error and never a panic.

use std::path::Path;

use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Bitrate, DecodeError};

use super::measure::{has, read_bytes, strictly, try_read_bytes};
use super::support::{RATE_HZ, aiff, dir, ffmpeg, read, song, try_read, try_read_within, wav, write};

fn error_of(bytes: &[u8], name: &str) -> DecodeError {
    let dir = dir();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("a written file");
    match try_read(&path) {
        Ok((info, frames)) => panic!("{name}: read {} frames of {info:?}", frames.len()),
        Err(e) => e,
    }
}

/// The test song encoded in one of our formats.
fn encoded(format: AudioFormat) -> Vec<u8> {
    let dir = dir();
    let path = dir.path().join("song");
    write(&path, format, RATE_HZ, &song(60_000, RATE_HZ));
    std::fs::read(&path).expect("the file")
}

fn encode_with_ffmpeg(name: &str, arguments: &[&str]) -> Vec<u8> {
    let dir = dir();
    let source = ["-f", "lavfi", "-i", "sine=440:d=3:r=44100"];
    let path = ffmpeg(&source, arguments, &dir.path().join(name));
    std::fs::read(path).expect("the file")
}

#[test]
fn empty_file() {
    let error = error_of(b"", "song.mp3");
    assert!(matches!(error, DecodeError::Empty(_)));
    assert_eq!(error.to_string(), "the file is empty");
}

#[test]
fn non_audio_is_rejected_whatever_its_name() {
    let png: Vec<u8> = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".iter().copied().chain((0..30_000_u32).map(noise)).collect();
    let ones = vec![0xff; 50_000];
    for file in [b"just some text, and a bit more of it".as_slice(), &png, &ones, &[0; 9_999], b"\xff\xfb", b"RIFF"] {
        let error = error_of(file, "song.mp3");
        assert!(matches!(error, DecodeError::NotAudio(_)), "{error}");
    }
    assert_eq!(
        error_of(b"hello", "song.mp3").to_string(),
        "not an audio file: unknown format; use MP3, FLAC, WAV, AIFF, Ogg Vorbis, Opus, AAC/M4A or ALAC"
    );
}

fn noise(n: u32) -> u8 {
    (n.wrapping_mul(2_654_435_761) >> 13) as u8
}

#[test]
fn unsupported_audio_formats() {
    for file in [b"RIFF\0\0\0\0AVI LIST    ".as_slice(), b"MThd\0\0\0\x06\0\x01\0\x01", b"wvpk............"] {
        assert!(matches!(error_of(file, "song.wav"), DecodeError::Unsupported(_)));
    }
    #[cfg(not(feature = "opus"))]
    let opus = error_of(&encode_with_ffmpeg("a.opus", &["-c:a", "libopus"]), "song.opus");
    #[cfg(not(feature = "opus"))]
    assert!(matches!(opus, DecodeError::Unsupported(_)) && opus.to_string().contains("opus"), "{opus}");
}

#[test]
fn paths_that_are_not_readable_files() {
    let dir = dir();
    let open = |path: &Path| AudioReader::open(path, &AudioLimits::default());
    let directory = open(dir.path()).expect_err("a directory");
    assert_eq!(directory.to_string(), "not an audio file: it is a directory");
    let missing = open(&dir.path().join("missing")).expect_err("a missing file");
    assert!(matches!(missing, DecodeError::Io { action: "opened", .. }));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.path().join("secret.wav");
        std::fs::write(&path, "x").expect("a written file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("set permissions");
        // Root can read every file.
        if std::fs::File::open(&path).is_err() {
            assert!(matches!(open(&path), Err(DecodeError::Io { action: "opened", .. })));
        }
    }
}

#[test]
fn truncated_files() {
    let mut files = vec![
        ("320.mp3", encoded(AudioFormat::Mp3(Bitrate::Cbr(320)))),
        ("vbr.mp3", encoded(AudioFormat::Mp3(Bitrate::Vbr(2)))),
        ("a.flac", encoded(AudioFormat::Flac)),
        ("16.wav", encoded(AudioFormat::Wav16)),
        ("float.wav", encoded(AudioFormat::WavF32)),
    ];
    for (name, arguments) in [
        ("end.m4a", vec!["-c:a", "aac"]),
        ("start.m4a", vec!["-c:a", "aac", "-movflags", "+faststart"]),
        ("alac.m4a", vec!["-c:a", "alac"]),
        ("a.ogg", vec!["-c:a", "libvorbis"]),
        ("bare.mp3", vec!["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"]),
        ("a.aac", vec!["-c:a", "aac"]),
        ("a.aiff", vec![]),
    ] {
        files.push((name, encode_with_ffmpeg(name, &arguments)));
    }
    for (name, bytes) in files {
        for percent in [50, 80, 93] {
            let mut len = bytes.len() * percent / 100;
            // A headerless stream cut exactly between two frames cannot be recognised as truncated.
            if name == "bare.mp3" && bytes[len] == 0xff {
                len += 2;
            }
            match try_read_bytes(&bytes[..len], &strictly()) {
                Ok((info, frames, _)) => panic!("{name} at {percent}%: read {} frames of {info:?}", frames.len()),
                Err(error) => assert!(matches!(error, DecodeError::Truncated(_)), "{name} at {percent}%: {error}"),
            }
            // Without the index, which is at the end, or within the only page, nothing can be decoded.
            if !matches!(name, "end.m4a" | "alac.m4a" | "a.ogg") {
                let (_, frames, warnings) = read_bytes(name, &bytes[..len]);
                assert!(!frames.is_empty() && has(&warnings, "ends_early"), "{name} at {percent}%: {warnings:?}");
            }
        }
    }
}

#[test]
fn false_data_length_is_detected() {
    for stated in [1_000_000, 401, 0x6000_0000] {
        let file = wav(1, 2, 44_100, 16, &[0; 400], stated);
        let (_, frames, warnings) = read_bytes("a.wav", &file);
        assert_eq!(frames.len(), 100, "{stated}");
        // The size of 401 bytes has no more frames than there are.
        assert_eq!(has(&warnings, "ends_early"), stated != 401, "{stated}: {warnings:?}");
        let error = error_of(&wav(1, 2, 44_100, 16, &[], stated), "song.wav");
        assert!(matches!(error, DecodeError::Truncated(_)), "{stated}: {error}");
    }
    let (_, frames, warnings) = read_bytes("a.aiff", &aiff(2, 44_100, &[0; 40], 4_000));
    assert!(frames.len() == 10 && has(&warnings, "ends_early"), "{} frames, {warnings:?}", frames.len());
    // Sizes of a program that cannot seek.
    for stated in [u32::MAX, u32::MAX - 1, 0xffff_fff0, 0] {
        assert!(matches!(error_of(&wav(1, 2, 44_100, 16, &[], stated), "a.wav"), DecodeError::Empty(_)), "{stated}");
    }
}

#[test]
fn invalid_headers() {
    let no_channels = error_of(&wav(1, 0, 44_100, 16, &[0; 40], 40), "a.wav");
    assert_eq!(no_channels.to_string(), "malformed: the header states 0 channels");
    let no_rate = error_of(&wav(1, 2, 0, 16, &[0; 40], 40), "a.wav");
    assert_eq!(no_rate.to_string(), "malformed: the header states a sample rate of 0 Hz");
    assert!(matches!(error_of(&aiff(0, 44_100, &[0; 40], 40), "a.aiff"), DecodeError::Malformed(_)));
    assert!(matches!(error_of(&aiff(2, 0, &[0; 40], 40), "a.aiff"), DecodeError::Malformed(_)));
    for (channels, rate_hz) in [(2, 768_000), (2, 999), (9, 44_100), (65_535, 44_100)] {
        let error = error_of(&wav(1, channels, rate_hz, 16, &[0; 40], 40), "a.wav");
        assert!(matches!(error, DecodeError::Limit(_)), "{channels} at {rate_hz} Hz: {error}");
    }
}

#[test]
fn non_finite_samples() {
    for (bad, format) in [(f32::NAN, 3), (f32::INFINITY, 3), (f32::NEG_INFINITY, 3)] {
        let mut samples = vec![0.25_f32; 10_000];
        samples[6_001] = bad;
        let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let error = error_of(&wav(format, 2, 44_100, 32, &data, data.len() as u32), "a.wav");
        assert_eq!(error.to_string(), "malformed: sample 3000 is not a number");
    }
}

#[test]
fn video_without_audio_track() {
    let dir = dir();
    let source = ["-f", "lavfi", "-i", "color=black:s=64x64:d=1"];
    for (name, codec) in [("a.mp4", "mpeg4"), ("a.mkv", "mpeg4")] {
        let path = ffmpeg(&source, &["-c:v", codec], &dir.path().join(name));
        let error = try_read(&path).expect_err("no audio track");
        assert!(matches!(error, DecodeError::NoAudioTrack), "{name}: {error}");
    }
    let sources = [source.as_slice(), &["-f", "lavfi", "-i", "sine=440:d=1:r=44100"]].concat();
    for name in ["b.mp4", "b.mkv"] {
        let path = ffmpeg(&sources, &["-c:v", "mpeg4", "-c:a", "aac"], &dir.path().join(name));
        let (info, frames) = read(&path);
        assert!(frames.len().abs_diff(44_100) < 3_000, "{name}: {} of {info:?}", frames.len());
    }
}

#[test]
fn duration_above_limit() {
    let dir = dir();
    let short = AudioLimits { max_duration_s: 1, ..AudioLimits::default() };
    for format in [AudioFormat::Flac, AudioFormat::Wav16, AudioFormat::Mp3(Bitrate::Cbr(128))] {
        let path = dir.path().join("song");
        write(&path, format, RATE_HZ, &song(RATE_HZ as usize + 1, RATE_HZ));
        // The header states the length, so no sample is decoded.
        let error = AudioReader::open(&path, &short).expect_err("too long");
        assert!(matches!(error, DecodeError::Limit(_)), "{format:?}: {error}");
        write(&path, format, RATE_HZ, &song(RATE_HZ as usize, RATE_HZ));
        assert!(try_read_within(&path, &short).is_ok());
    }
    let bare = ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"];
    let path = dir.path().join("bare");
    std::fs::write(&path, encode_with_ffmpeg("a.mp3", &bare)).expect("a written file");
    assert!(matches!(try_read_within(&path, &short), Err(DecodeError::Limit(_))));
}

#[test]
fn oversized_id3_tags() {
    let small = b"ID3\x04\0\0\0\0\0\x7f and nothing else of it".as_slice();
    assert!(matches!(error_of(small, "a.mp3"), DecodeError::Truncated(_)));
    let huge = b"ID3\x04\0\0\x7f\x7f\x7f\x7f............".as_slice();
    assert!(matches!(error_of(huge, "a.mp3"), DecodeError::Limit(_)));
    // Similar to the 33 bytes that made Symphonia panic (its issue 485): a tag and half a frame.
    let half = b"ID3\x03\0\0\0\0\0\x0a..........\xff\xfb\x90\x64\0\0\0\0\0\0\0\0\0".as_slice();
    let _ = error_of(half, "a.mp3");
}

#[test]
fn damaged_files_never_panic() {
    let dir = dir();
    let path = dir.path().join("song");
    let mut files = vec![
        encoded(AudioFormat::Mp3(Bitrate::Cbr(128))),
        encoded(AudioFormat::Flac),
        encoded(AudioFormat::Wav24),
        aiff(2, 44_100, &[7; 4_000], 4_000),
    ];
    for (name, codec) in [("a.m4a", "aac"), ("b.m4a", "alac"), ("a.ogg", "libvorbis"), ("a.mkv", "flac")] {
        files.push(encode_with_ffmpeg(name, &["-c:a", codec]));
    }
    for file in &mut files {
        // Mostly in the headers, where a byte matters most.
        for n in 0..150_u32 {
            let mut damaged = file.clone();
            for k in 0..3 {
                let spread = if n % 3 == 0 { damaged.len() } else { damaged.len().min(700) };
                let at = (u32::from(noise(n * 7 + k)) << 16
                    | u32::from(noise(n * 13 + k)) << 8
                    | u32::from(noise(n + k * 5))) as usize;
                damaged[at % spread] = noise(n * 31 + k);
            }
            damaged.truncate(damaged.len().min(60_000));
            std::fs::write(&path, &damaged).expect("a written file");
            let _ = try_read(&path);
        }
    }
}

#[test]
fn damaged_flac_is_rejected_if_strict() {
    let mut file = encoded(AudioFormat::Flac);
    let middle = file.len() / 2;
    for byte in &mut file[middle..middle + 4] {
        *byte ^= 0x55;
    }
    let error = try_read_bytes(&file, &strictly()).expect_err("damaged");
    assert!(matches!(error, DecodeError::Malformed(_) | DecodeError::Truncated(_)), "{error}");
    let (_, frames, warnings) = read_bytes("a.flac", &file);
    assert!(frames.len() == 60_000 && has(&warnings, "damaged"), "{} frames, {warnings:?}", frames.len());
}

#[test]
fn flac_without_checksum_is_accepted() {
    let mut file = encoded(AudioFormat::Flac);
    file[26..42].fill(0);
    let dir = dir();
    let path = dir.path().join("a.flac");
    std::fs::write(&path, &file).expect("a written file");
    assert_eq!(read(&path).1.len(), 60_000);
    // Only the header, which states 60,000 samples.
    let error = error_of(&file[..file.len() / 50], "a.flac");
    assert!(matches!(error, DecodeError::Truncated(_)), "{error}");
}
