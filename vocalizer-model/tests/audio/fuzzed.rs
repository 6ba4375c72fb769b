//! Findings of the fuzzer (`fuzz/README.md`) as tests, and its seeds.

use std::path::{Path, PathBuf};

use vocalizer_model::audio::DecodeError;

use super::support::try_read;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audio/fuzzed").join(name)
}

fn error_of(name: &str) -> DecodeError {
    match try_read(&fixture(name)) {
        Ok((info, frames)) => panic!("{name}: read {} frames of {info:?}", frames.len()),
        Err(e) => e,
    }
}

#[test]
fn every_seed_decodes_or_fails_as_named() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let mut decoded = 0;
    for target in std::fs::read_dir(seeds).expect("the seeds").map(|entry| entry.expect("a target").path()) {
        if !target.file_name().is_some_and(|name| name.to_string_lossy().starts_with("decode_")) {
            continue;
        }
        for seed in std::fs::read_dir(target).expect("a target").map(|entry| entry.expect("a seed").path()) {
            let name = seed.file_name().expect("a name").to_string_lossy();
            let refused = name.starts_with("refused-") || (name.starts_with("opus") && !cfg!(feature = "opus"));
            match try_read(&seed) {
                Ok((_, frames)) => {
                    assert!(!refused, "{} was read", seed.display());
                    assert!(frames.iter().flatten().any(|&s| s.abs() > 0.05), "{} is silent", seed.display());
                    decoded += 1;
                }
                Err(e) => assert!(refused, "{}: {e}", seed.display()),
            }
        }
    }
    assert!(decoded > 50, "only {decoded} seeds were decoded");
}

#[test]
fn empty_edit_list_is_rejected() {
    let error = error_of("edit-list-of-nothing.mp4");
    assert!(matches!(error, DecodeError::Empty(_)), "{error}");
}

#[test]
fn oversized_vorbis_codebook_is_malformed() {
    let error = error_of("vorbis-codebook-too-wide.ogg");
    assert!(matches!(error, DecodeError::Malformed(_)), "{error}");
}

/// Without a check, the demuxer would loop three billion times.
#[test]
fn mp4_fragment_with_too_many_samples_is_malformed() {
    let error = error_of("run-of-billions.mp4");
    assert!(matches!(&error, DecodeError::Malformed(what) if what.contains("samples")), "{error}");
}

#[cfg(feature = "mp3")]
mod mp3_output {
    use vocalizer_model::audio::{AudioFormat, Bitrate, EncodeError, StemWriter};

    use crate::audio::support::{RATE_HZ, dir, read, write};

    /// In smaller frames, LAME omits its tag, and the decoded song would be longer than the original.
    #[test]
    fn mp3_bitrate_too_low_for_tag_is_rejected() {
        let dir = dir();
        let path = dir.path().join("small.mp3");
        for (rate_hz, least, below) in [
            (48_000, 64, 48),
            (44_100, 64, 48),
            (32_000, 48, 40),
            (24_000, 64, 48),
            (22_050, 64, 48),
            (16_000, 40, 32),
            (12_000, 32, 24),
            (11_025, 32, 24),
            (8_000, 24, 16),
        ] {
            write(&path, AudioFormat::Mp3(Bitrate::Cbr(least)), rate_hz, &[[0.25; 2]; 3_000]);
            assert_eq!(read(&path).1.len(), 3_000, "{least} kbit/s at {rate_hz} Hz");
            let refused = StemWriter::create(&path, AudioFormat::Mp3(Bitrate::Cbr(below)), rate_hz);
            assert!(matches!(refused, Err(EncodeError::Unsupported(_))), "{below} kbit/s at {rate_hz} Hz: {refused:?}");
        }
    }

    /// LAME aborts with a failed assertion if its energies overflow.
    #[test]
    fn mp3_of_extreme_samples() {
        let dir = dir();
        let path = dir.path().join("loud.mp3");
        for bitrate in [Bitrate::Cbr(128), Bitrate::Vbr(2)] {
            let frames: Vec<_> =
                (0..8_000).map(|n| if n % 7 < 3 { [f32::MAX, f32::MIN] } else { [-1e30, 1e-30] }).collect();
            write(&path, AudioFormat::Mp3(bitrate), RATE_HZ, &frames);
            let (_, back) = read(&path);
            assert_eq!(back.len(), frames.len());
            assert!(back.iter().flatten().all(|s| s.is_finite()));
        }
    }
}
