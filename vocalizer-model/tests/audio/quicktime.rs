//! QuickTime's PCM, ADPCM and ALAC, compared with ffmpeg.

use vocalizer_model::audio::DecodeError;

use super::measure::{has, read_bytes, strictly, try_read_with};
use super::support::{FRAMES, RATE_HZ, converted, decoded_by_ffmpeg, dir, ffmpeg, read, snr_db, try_read};

#[test]
fn pcm_of_every_kind_is_exactly_that_of_ffmpeg() {
    let dir = dir();
    for codec in [
        "pcm_s8",
        "pcm_u8",
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_s32be",
        "pcm_f32le",
        "pcm_f32be",
        "pcm_f64le",
        "pcm_f64be",
        "pcm_alaw",
        "pcm_mulaw",
    ] {
        let path = converted(dir.path(), "a.mov", &["-c:a", codec]);
        let (info, ours, warnings) = try_read_with(&path, &strictly()).unwrap_or_else(|e| panic!("{codec}: {e}"));
        assert_eq!((info.format, info.rate_hz, info.channels), ("pcm", RATE_HZ, 2), "{codec}");
        assert_eq!((info.frames, warnings.len()), (Some(FRAMES as u64), 0), "{codec}");
        assert!(ours == decoded_by_ffmpeg(&path), "{codec}");
    }
    // The rates that a description of 16 bits cannot hold.
    for rate in ["8000", "96000", "192000"] {
        let path = converted(dir.path(), "a.mov", &["-c:a", "pcm_s24le", "-ar", rate]);
        let (info, ours) = read(&path);
        assert_eq!(info.rate_hz.to_string(), rate);
        assert!(ours == decoded_by_ffmpeg(&path), "{rate} Hz");
    }
}

#[test]
fn adpcm_and_alac_are_decoded() {
    let dir = dir();
    for (codec, format, db) in [
        ("adpcm_ima_qt", "adpcm", 90.0),
        ("adpcm_ms", "adpcm", 90.0),
        ("adpcm_ima_wav", "adpcm", 90.0),
        ("alac", "alac", 140.0),
    ] {
        let path = converted(dir.path(), "a.mov", &["-c:a", codec]);
        let (info, ours) = read(&path);
        assert_eq!((info.format, info.rate_hz, info.channels), (format, RATE_HZ, 2), "{codec}");
        let theirs = decoded_by_ffmpeg(&path);
        assert_eq!(ours.len(), theirs.len(), "{codec}");
        let snr = snr_db(&theirs, &ours);
        assert!(snr > db, "{codec}: {snr:.1} dB");
    }
}

/// QuickTime counts ADPCM in frames, ffmpeg in packets.
#[test]
fn adpcm_that_is_counted_in_frames_is_decoded() {
    let dir = dir();
    let path = converted(dir.path(), "a.mov", &["-c:a", "adpcm_ima_qt"]);
    let expected = read(&path).1;
    let mut file = std::fs::read(&path).expect("the file");
    let find = |file: &[u8], id: &[u8]| file.windows(4).position(|bytes| bytes == id).expect("the box");
    let number = |file: &[u8], at: usize| u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
    let (sizes, runs, times) = (find(&file, b"stsz"), find(&file, b"stsc"), find(&file, b"stts"));
    let (packets, chunk) = (number(&file, sizes + 12), number(&file, runs + 16));
    let mut set = |at: usize, value: u32| file[at..at + 4].copy_from_slice(&value.to_be_bytes());
    set(sizes + 8, 1);
    set(sizes + 12, packets * 64);
    set(runs + 16, chunk * 64);
    set(times + 12, packets * 64);
    set(times + 16, 1);
    assert!(read_bytes("counted in frames", &file).1 == expected);
}

#[test]
fn sound_of_two_kinds_in_one_file_is_read_from_either_track() {
    let dir = dir();
    let source = ["-f", "lavfi", "-i", "sine=400:r=48000:d=1", "-f", "lavfi", "-i", "sine=700:r=48000:d=1"];
    let maps = ["-map", "0:a", "-map", "1:a", "-c:a:0", "pcm_s8", "-c:a:1", "aac"];
    let path = ffmpeg(&source, &maps, &dir.path().join("a.mov"));
    for (number, codec, hz) in [(1, "pcm", 400), (2, "aac", 700)] {
        let (info, frames, _) = try_read_with(&path, &super::measure::track(number)).expect("a song");
        assert_eq!(info.tracks[number as usize - 1].codec, codec);
        let crossings = frames[..47_000].windows(2).filter(|pair| pair[0][0] <= 0.0 && pair[1][0] > 0.0).count();
        assert!(crossings.abs_diff(hz * 47_000 / 48_000) < 4, "{codec}: {crossings}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_read_to_its_end() {
    let dir = dir();
    let path = converted(dir.path(), "a.mov", &["-c:a", "pcm_s8", "-movflags", "+faststart"]);
    let file = std::fs::read(&path).expect("the file");
    let (_, frames, warnings) = read_bytes("cut off", &file[..file.len() * 3 / 4]);
    assert!(has(&warnings, "ends_early"), "{warnings:?}");
    assert!((FRAMES * 2 / 3..FRAMES).contains(&frames.len()), "{} frames", frames.len());
    assert!(frames == read(&path).1[..frames.len()]);
}

#[test]
fn other_sizes_of_samples_are_named() {
    let dir = dir();
    let path = converted(dir.path(), "a.mov", &["-c:a", "pcm_s16be"]);
    let mut file = std::fs::read(&path).expect("the file");
    let at = file.windows(4).position(|bytes| bytes == b"twos").expect("the description");
    file[at + 22..at + 24].copy_from_slice(&48_u16.to_be_bytes());
    std::fs::write(&path, &file).expect("a written file");
    let error = try_read(&path).expect_err("48 bits");
    assert!(matches!(error, DecodeError::Unsupported(_)), "{error}");
    assert_eq!(error.format(), Some("QuickTime with samples of 48 bits"));
}
