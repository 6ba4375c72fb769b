//! The codecs of Matroska, compared with ffmpeg.

use vocalizer_model::audio::DecodeError;

use super::measure::{strictly, try_read_with};
use super::support::{RATE_HZ, converted, decoded_by_ffmpeg, dir, ffmpeg, snr_db, try_read};

#[test]
fn pcm_of_every_kind_is_exactly_that_of_ffmpeg() {
    let dir = dir();
    for codec in [
        "pcm_u8",
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_f64le",
        "pcm_alaw",
        "pcm_mulaw",
    ] {
        let path = converted(dir.path(), "a.mka", &["-c:a", codec]);
        let (info, ours, warnings) = try_read_with(&path, &strictly()).unwrap_or_else(|e| panic!("{codec}: {e}"));
        assert_eq!((info.format, info.rate_hz, info.channels), ("pcm", RATE_HZ, 2), "{codec}");
        assert_eq!(warnings, [], "{codec}");
        assert!(ours == decoded_by_ffmpeg(&path), "{codec}");
    }
}

#[test]
fn packets_of_several_adpcm_blocks_are_decoded() {
    let dir = dir();
    for codec in ["adpcm_ms", "adpcm_ima_wav"] {
        let wav = converted(dir.path(), "a.wav", &["-c:a", codec]);
        let copied = ffmpeg(&["-i", wav.to_str().expect("a plain path")], &["-c", "copy"], &dir.path().join("a.mka"));
        for path in [converted(dir.path(), "b.mka", &["-c:a", codec]), copied] {
            let (info, ours, _) = try_read_with(&path, &strictly()).unwrap_or_else(|e| panic!("{codec}: {e}"));
            assert_eq!((info.format, info.channels), ("adpcm", 2), "{codec}");
            let theirs = decoded_by_ffmpeg(&path);
            let snr = snr_db(&theirs, &ours);
            assert!(snr > 90.0 && ours.len() == theirs.len(), "{codec}: {snr:.1} dB, {} frames", ours.len());
        }
    }
}

#[test]
fn codecs_that_are_not_supported_are_named() {
    let dir = dir();
    for (arguments, name) in [
        (vec!["-c:a", "ac3"], "ac-3"),
        (vec!["-c:a", "eac3"], "e-ac-3"),
        (vec!["-c:a", "wavpack"], "wavpack"),
        (vec!["-c:a", "wmav2"], "Matroska with WMA"),
        (vec!["-c:a", "g726", "-ar", "8000", "-ac", "1", "-b:a", "32k"], "Matroska with G.72x ADPCM"),
    ] {
        let path = converted(dir.path(), "a.mka", &arguments);
        let error = try_read(&path).expect_err(name);
        assert!(matches!(error, DecodeError::Unsupported(_)), "{name}: {error}");
        assert_eq!(error.format(), Some(name));
    }
    // An identifier that no program writes.
    let path = converted(dir.path(), "a.mka", &["-c:a", "pcm_s16le"]);
    let mut file = std::fs::read(&path).expect("the file");
    let at = file.windows(13).position(|bytes| bytes == b"A_PCM/INT/LIT").expect("the identifier");
    file[at..at + 13].copy_from_slice(b"A_ZZZ/NEW/ONE");
    std::fs::write(&path, &file).expect("a written file");
    let error = try_read(&path).expect_err("an unknown codec");
    assert_eq!(error.format(), Some("Matroska with the codec `A_ZZZ/NEW/ONE`"));
}
