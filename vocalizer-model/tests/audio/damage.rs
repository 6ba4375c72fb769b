//! Files that end early or are damaged: decoded as far as possible, everything in its place.

use std::path::Path;

use vocalizer_model::audio::{AudioFormat, AudioWarning, DecodeError, ReadOptions};

use super::measure::{assert_alike, has, noise, read_bytes, strictly, try_read_bytes};
use super::support::{RATE_HZ, dir, ffmpeg, snr_db, song, write};

/// A song that never repeats, so that a shift cannot hide.
fn encoded(name: &str, arguments: &[&str]) -> Vec<u8> {
    let dir = dir();
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::Wav16, RATE_HZ, &song(8 * RATE_HZ as usize, RATE_HZ));
    let noisy = "anoisesrc=a=0.05:r=44100:d=8:seed=7[n];[0:a][n]amix=inputs=2:normalize=0";
    let input = ["-i", original.to_str().expect("a plain path"), "-filter_complex", noisy];
    std::fs::read(ffmpeg(&input, &[&["-bitexact"], arguments].concat(), &dir.path().join(name))).expect("the file")
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![
        ("info.mp3", vec!["-c:a", "libmp3lame", "-b:a", "192k"]),
        ("xing.mp3", vec!["-c:a", "libmp3lame", "-q:a", "2"]),
        ("bare.mp3", vec!["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0"]),
        ("a.flac", vec!["-c:a", "flac"]),
        ("16.wav", vec!["-c:a", "pcm_s16le"]),
        ("float.wav", vec!["-c:a", "pcm_f32le"]),
        ("a.aiff", vec!["-c:a", "pcm_s16be"]),
        ("aac.m4a", vec!["-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart"]),
        ("alac.m4a", vec!["-c:a", "alac", "-movflags", "+faststart"]),
        ("fragments.mp4", vec!["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000"]),
        ("a.ogg", vec!["-c:a", "libvorbis", "-q:a", "6"]),
        ("flac.ogg", vec!["-c:a", "flac"]),
        ("a.aac", vec!["-c:a", "aac", "-b:a", "192k"]),
        ("flac.mka", vec!["-c:a", "flac"]),
        ("mp3.mka", vec!["-c:a", "libmp3lame", "-b:a", "192k"]),
        ("vorbis.webm", vec!["-c:a", "libvorbis", "-q:a", "6"]),
    ];
    if cfg!(feature = "opus") {
        files.push(("a.opus", vec!["-c:a", "libopus", "-b:a", "160k"]));
        files.push(("opus.webm", vec!["-c:a", "libopus", "-b:a", "160k"]));
    }
    files.into_iter().map(|(name, arguments)| (name, encoded(name, &arguments))).collect()
}

fn is_pcm(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ext| ext == "wav" || ext == "aiff")
}

#[test]
fn songs_that_end_early_are_read_to_their_end() {
    for (name, whole) in all() {
        let (_, expected, warnings) = read_bytes(name, &whole);
        assert_eq!(warnings, [], "{name}");
        for percent in [40, 80, 97] {
            let what = format!("{name} at {percent}%");
            // An odd number, so that no frame of PCM is complete.
            let cut = &whole[..(whole.len() * percent / 100) | 1];
            let (info, frames, warnings) = read_bytes(&what, cut);
            assert!(has(&warnings, "ends_early"), "{what}: {warnings:?}");
            assert!(!has(&warnings, "damaged"), "{what}: {warnings:?}");
            let share = frames.len() as f64 / expected.len() as f64;
            assert!((share - percent as f64 / 100.0).abs() < 0.12, "{what}: {share:.3} of the song");
            // The last packet lacks its overlap with the next one.
            let common = frames.len().min(expected.len()).saturating_sub(3_000);
            let snr = snr_db(&expected[..common], &frames[..common]);
            assert!(snr > 90.0, "{what}: {snr:.1} dB");
            let said = warnings.iter().find_map(|warning| match warning {
                AudioWarning::EndsEarly { frames, .. } => Some(*frames),
                _ => None,
            });
            assert_eq!(said, Some(frames.len() as u64), "{what}");
            assert!(info.frames.is_none_or(|stated| stated >= frames.len() as u64), "{what}: {info:?}");
            match try_read_bytes(cut, &strictly()) {
                Err(DecodeError::Truncated(_)) => {}
                other => panic!("{what}: {:?}", other.map(|(_, frames, _)| frames.len())),
            }
        }
    }
}

#[test]
fn overwritten_bytes_become_silence_and_the_rest_keeps_its_place() {
    // A damaged index of a fragment ends the song; only its media can be damaged without a loss of the place.
    for (name, whole) in all().into_iter().filter(|(name, _)| !is_pcm(name) && !name.starts_with("fragments")) {
        let (_, expected, _) = read_bytes(name, &whole);
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 4_000].copy_from_slice(&noise(4_000));
        let (_, frames, warnings) = read_bytes(name, &damaged);
        let damaged_frames = warnings.iter().find_map(|warning| match warning {
            AudioWarning::Damaged { packets, silent_frames, .. } if *packets > 0 => Some(*silent_frames),
            _ => None,
        });
        // AAC and ALAC have no checksums, and noise may look like them.
        let unchecked = ["aac", "mp4", "alac"].iter().any(|codec| name.contains(codec));
        assert!(damaged_frames.is_some() || unchecked, "{name}: {warnings:?}");
        assert!(!has(&warnings, "ends_early"), "{name}: {warnings:?}");
        assert_alike(name, &expected, &frames, expected.len() * 3 / 4, 50.0);
        // A page of Ogg holds a second.
        let before = expected.len() / 3;
        assert!(snr_db(&expected[..before], &frames[..before]) > 90.0, "{name}");
        if damaged_frames.is_some() {
            match try_read_bytes(&damaged, &strictly()) {
                Err(DecodeError::Malformed(_)) => {}
                other => panic!("{name}: {:?}", other.map(|(_, frames, _)| frames.len())),
            }
        }
    }
}

#[test]
fn small_damages_are_counted_one_by_one() {
    for (name, whole) in all().into_iter().filter(|(name, _)| name.contains("mp3") || name.contains("flac")) {
        let (_, expected, _) = read_bytes(name, &whole);
        let mut damaged = whole.clone();
        for part in 1..5 {
            let at = damaged.len() * part / 6;
            damaged[at..at + 300].copy_from_slice(&noise(300));
        }
        let (_, frames, warnings) = read_bytes(name, &damaged);
        assert!(has(&warnings, "damaged"), "{name}: {warnings:?}");
        assert_alike(name, &expected, &frames, expected.len() * 9 / 10, 50.0);
    }
}

#[test]
fn bytes_inserted_into_mp3_are_skipped_without_a_shift() {
    for (name, whole) in all().into_iter().filter(|(name, _)| name.ends_with(".mp3")) {
        let (_, expected, _) = read_bytes(name, &whole);
        let middle = whole.len() / 2;
        let damaged = [&whole[..middle], &noise(3_333), &whole[middle..]].concat();
        let (_, frames, warnings) = read_bytes(name, &damaged);
        assert!(has(&warnings, "damaged"), "{name}: {warnings:?}");
        // Without a constant bitrate or a count in the header, the length of the damage is an estimate.
        assert_alike(name, &expected, &frames, expected.len() * 3 / 4, 50.0);
    }
}

#[test]
fn lost_pages_of_ogg_become_silence() {
    for (name, whole) in all().into_iter().filter(|(name, _)| name.ends_with(".ogg") || name.ends_with(".opus")) {
        let (_, expected, _) = read_bytes(name, &whole);
        let pages: Vec<usize> =
            whole.windows(5).enumerate().filter(|(_, w)| *w == b"OggS\0").map(|(at, _)| at).collect();
        let lost = pages.len() / 2;
        let damaged = [&whole[..pages[lost]], &whole[pages[lost + 1]..]].concat();
        let (_, frames, warnings) = read_bytes(name, &damaged);
        assert!(has(&warnings, "damaged"), "{name}: {warnings:?}");
        assert_alike(name, &expected, &frames, expected.len() * 4 / 5, 50.0);
        assert!(try_read_bytes(&damaged, &strictly()).is_err(), "{name}");
    }
}

#[test]
fn cut_last_frame_of_mp3_is_only_a_warning() {
    for (name, whole) in all().into_iter().filter(|(name, _)| name.ends_with(".mp3")) {
        let (_, expected, _) = read_bytes(name, &whole);
        let (_, frames, warnings) = read_bytes(name, &whole[..whole.len() - 100]);
        assert!(has(&warnings, "ends_early"), "{name}: {warnings:?}");
        assert!(expected.len() - frames.len() <= 2_304, "{name}: {} of {}", frames.len(), expected.len());
    }
}

#[test]
fn wrong_checksum_of_flac_is_a_warning() {
    let mut file = encoded("a.flac", &["-c:a", "flac"]);
    file[30] ^= 1;
    let (_, frames, warnings) = read_bytes("a.flac", &file);
    assert_eq!(warnings, [AudioWarning::WrongChecksum]);
    assert_eq!(frames.len(), 8 * RATE_HZ as usize);
    assert!(matches!(try_read_bytes(&file, &strictly()), Err(DecodeError::Malformed(_))));
}

#[test]
fn file_without_any_decodable_packet_is_an_error() {
    for (name, whole) in all().into_iter().filter(|(name, _)| !is_pcm(name) && !name.contains("aac")) {
        let mut damaged = whole;
        let from = if name.contains("m4a") || name.contains("mp4") { 12_000 } else { 5_000 };
        let from = from.min(damaged.len());
        let len = damaged.len() - from;
        damaged[from..].copy_from_slice(&noise(len));
        // Whatever is left of the start may be read, but never more than it can be.
        if let Ok((_, frames, warnings)) = try_read_bytes(&damaged, &ReadOptions::default()) {
            assert!(!warnings.is_empty(), "{name}: {} frames without a warning", frames.len());
        }
    }
    let flac = encoded("a.flac", &["-c:a", "flac"]);
    let header = flac.windows(2).position(|w| w == [0xff, 0xf8]).expect("a frame");
    let nothing = [&flac[..header], &noise(20_000)].concat();
    assert!(try_read_bytes(&nothing, &ReadOptions::default()).is_err());
}
