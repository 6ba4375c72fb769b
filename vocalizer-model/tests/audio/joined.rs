//! Joined files, and files whose sample rate or channels change midway.

use std::path::Path;

use vocalizer_model::audio::{AudioFormat, Frame};

use super::measure::{assert_alike, by_ffmpeg, has, read_bytes};
use super::support::{RATE_HZ, dir, ffmpeg, resample, snr_db, song, write};

const FRAMES: usize = 100_003;

fn encode(dir: &Path, name: &str, rate_hz: u32, arguments: &[&str]) -> Vec<u8> {
    let original = dir.join("original.wav");
    write(&original, AudioFormat::Wav16, RATE_HZ, &song(FRAMES, RATE_HZ));
    let rate = rate_hz.to_string();
    let input = ["-i", original.to_str().expect("a plain path"), "-ar", &rate];
    std::fs::read(ffmpeg(&input, &[&["-map_metadata", "-1"], arguments].concat(), &dir.join(name))).expect("the file")
}

/// Offset of the count of frames in the information frame.
fn count_at(file: &[u8]) -> usize {
    file.windows(4).position(|w| w == b"Xing" || w == b"Info").expect("an information frame") + 8
}

fn count(file: &[u8]) -> u32 {
    let at = count_at(file);
    u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]])
}

fn id3v1() -> Vec<u8> {
    [b"TAG".as_slice(), &[b' '; 125]].concat()
}

fn id3v2() -> Vec<u8> {
    // Its text looks like frame headers.
    [b"ID3\x04\0\0\0\0\x10\0".as_slice(), &[0xff, 0xfb, 0x90, 0x64].repeat(512)].concat()
}

fn ape() -> Vec<u8> {
    let item = b"\x05\0\0\0\0\0\0\0Title\0Piece";
    let size = (item.len() as u32 + 32).to_le_bytes();
    let part = |flags: u32| {
        [b"APETAGEX\xd0\x07\0\0".as_slice(), &size, &1_u32.to_le_bytes(), &flags.to_le_bytes(), &[0; 8]].concat()
    };
    [part(0xa000_0000).as_slice(), item, &part(0x8000_0000)].concat()
}

#[test]
fn joined_mp3s_are_read_whole() {
    let dir = dir();
    for arguments in [["-c:a", "libmp3lame", "-b:a", "128k"], ["-c:a", "libmp3lame", "-q:a", "3"]] {
        let once = encode(dir.path(), "once.mp3", RATE_HZ, &arguments);
        let (_, alone, _) = read_bytes("alone", &once);
        assert_eq!(alone.len(), FRAMES);
        let frame = 1_152;
        // The delay and the padding of both files are at the joint, where they belong to the sound.
        let joint = count(&once) as usize * frame - FRAMES;
        for between in [vec![], id3v1(), id3v2(), ape(), [ape(), id3v1(), id3v2()].concat(), vec![0; 500]] {
            let joined = [once.as_slice(), &between, &once].concat();
            let (info, frames, warnings) = read_bytes("joined", &joined);
            let what = format!("{arguments:?} with {} bytes between", between.len());
            assert_eq!(frames.len(), 2 * FRAMES + joint, "{what}");
            assert_eq!(info.frames, Some(frames.len() as u64), "{what}");
            assert!(!has(&warnings, "damaged") && !has(&warnings, "ends_early"), "{what}: {warnings:?}");
            assert!(snr_db(&alone[..FRAMES - 3_000], &frames) > 90.0, "{what}");
            let second = &frames[FRAMES + joint..];
            assert!(snr_db(&alone[3_000..], &second[3_000..]) > 90.0, "{what}");
        }
    }
}

#[test]
fn joined_mp3s_have_the_length_that_ffmpeg_finds() {
    let dir = dir();
    let once = encode(dir.path(), "once.mp3", RATE_HZ, &["-c:a", "libmp3lame", "-b:a", "128k"]);
    let path = dir.path().join("joined.mp3");
    std::fs::write(&path, [once.as_slice(), &once].concat()).expect("a written file");
    let theirs = by_ffmpeg(&path, &[]);
    let (_, ours, _) = read_bytes("joined", &std::fs::read(&path).expect("the file"));
    assert!(theirs.len().abs_diff(ours.len()) <= 2 * 1_152, "{} and {}", theirs.len(), ours.len());
    assert!(snr_db(&theirs[..FRAMES - 3_000], &ours) > 90.0);
}

#[test]
fn count_in_the_header_is_only_a_hint() {
    let dir = dir();
    let whole = encode(dir.path(), "once.mp3", RATE_HZ, &["-c:a", "libmp3lame", "-b:a", "128k"]);
    let at = count_at(&whole);
    let count = count(&whole);
    for stated in [1, count / 2, count - 1] {
        let mut file = whole.clone();
        file[at..at + 4].copy_from_slice(&stated.to_be_bytes());
        let (_, frames, warnings) = read_bytes("small count", &file);
        assert_eq!(frames.len(), count as usize * 1_152 - 1_105, "{stated} of {count}");
        assert_eq!(warnings, []);
    }
    let mut file = whole;
    file[at..at + 4].copy_from_slice(&(2 * count).to_be_bytes());
    let (info, frames, warnings) = read_bytes("large count", &file);
    assert_eq!(frames.len(), count as usize * 1_152 - 1_105);
    assert!(has(&warnings, "ends_early"), "{warnings:?}");
    assert!(info.frames > Some(frames.len() as u64));
}

/// Joins two streams without headers of their own and compares each part with its own decoding.
fn check_change(name: &str, first: &[u8], second: &[u8], second_rate_hz: u32, first_rate_hz: u32) {
    let (_, one, _) = read_bytes(name, first);
    let (_, two, _) = read_bytes(name, second);
    let two = resample(&two, second_rate_hz, first_rate_hz);
    let (info, frames, warnings) = read_bytes(name, &[first, second].concat());
    assert!(has(&warnings, "format_changes"), "{name}: {warnings:?}");
    assert!(!has(&warnings, "damaged") && !has(&warnings, "ends_early"), "{name}: {warnings:?}");
    assert_eq!(info.rate_hz, first_rate_hz);
    let expected: Vec<Frame> = [one.as_slice(), &two].concat();
    assert_eq!(frames.len(), expected.len(), "{name}");
    assert!(snr_db(&one[..one.len() - 3_000], &frames) > 60.0, "{name}");
    assert_alike(name, &expected, &frames, one.len() + 4_000, 60.0);
}

#[test]
fn changes_within_mp3_and_adts_are_converted() {
    let dir = dir();
    let bare = ["-write_xing", "0", "-id3v2_version", "0", "-c:a", "libmp3lame", "-b:a", "128k"];
    let mp3 = |name: &str, rate_hz: u32, channels: &str| {
        encode(dir.path(), name, rate_hz, &[bare.as_slice(), &["-ac", channels]].concat())
    };
    let adts = |name: &str, rate_hz: u32, channels: &str| {
        encode(dir.path(), name, rate_hz, &["-c:a", "aac", "-b:a", "128k", "-ac", channels])
    };
    let (stereo, mono) = (mp3("s.mp3", 44_100, "2"), mp3("m.mp3", 44_100, "1"));
    check_change("mono, stereo", &mono, &stereo, 44_100, 44_100);
    check_change("stereo, mono", &stereo, &mono, 44_100, 44_100);
    check_change("22 kHz, 44 kHz", &mp3("22.mp3", 22_050, "2"), &stereo, 44_100, 22_050);
    check_change("44 kHz, 48 kHz", &stereo, &mp3("48.mp3", 48_000, "2"), 48_000, 44_100);
    let (stereo, mono) = (adts("s.aac", 44_100, "2"), adts("m.aac", 44_100, "1"));
    check_change("mono, stereo in ADTS", &mono, &stereo, 44_100, 44_100);
    check_change("44 kHz, 32 kHz in ADTS", &stereo, &adts("32.aac", 32_000, "2"), 32_000, 44_100);
}

#[test]
fn all_links_of_chained_ogg_are_read() {
    let dir = dir();
    let ogg = |name: &str, rate_hz: u32, arguments: &[&str]| {
        let file = encode(dir.path(), name, rate_hz, arguments);
        let frames = read_bytes(name, &file).1;
        (file, frames)
    };
    let vorbis = ["-c:a", "libvorbis", "-q:a", "5"];
    let (a, one) = ogg("a.ogg", 44_100, &vorbis);
    let (b, two) = ogg("b.ogg", 44_100, &[&vorbis[..], &["-ac", "1"]].concat());
    let (c, three) = ogg("c.ogg", 48_000, &vorbis);
    let mut cases = vec![
        ("vorbis", vec![(&a, one.clone()), (&a, one.clone())]),
        ("vorbis of other channels", vec![(&a, one.clone()), (&b, two.clone()), (&a, one.clone())]),
        ("vorbis of another rate", vec![(&a, one.clone()), (&c, resample(&three, 48_000, 44_100))]),
    ];
    let opus = cfg!(feature = "opus").then(|| ogg("a.opus", 48_000, &["-c:a", "libopus", "-b:a", "128k"]));
    if let Some((file, frames)) = &opus {
        cases.push(("opus", vec![(file, frames.clone()), (file, frames.clone())]));
        cases.push(("opus, then vorbis", vec![(file, frames.clone()), (&c, three.clone())]));
    }
    for (name, links) in cases {
        let file: Vec<u8> = links.iter().flat_map(|(file, _)| file.to_vec()).collect();
        let expected: Vec<Frame> = links.into_iter().flat_map(|(_, frames)| frames).collect();
        let (_, frames, warnings) = read_bytes(name, &file);
        assert!(!has(&warnings, "damaged") && !has(&warnings, "ends_early"), "{name}: {warnings:?}");
        assert_alike(name, &expected, &frames, 0, 60.0);
    }
}
