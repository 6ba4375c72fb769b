//! Bytes after the end of the song, and FLAC headers that contradict their frames.

use std::path::Path;

use vocalizer_model::audio::{AudioFormat, Frame};

use super::containers::{ape, id3v1};
use super::measure::{strictly, try_read_with};
use super::support::{RATE_HZ, dir, ffmpeg, read, song, write};

const FRAMES: usize = 30_011;

fn lyrics3() -> Vec<u8> {
    let text = b"LYRICSBEGININD0000200LYR00011[00:01]words";
    let mut tag = text.to_vec();
    tag.extend(format!("{:06}LYRICS200", text.len()).into_bytes());
    tag
}

fn old_lyrics3() -> Vec<u8> {
    [b"LYRICSBEGIN".as_slice(), &b"la ".repeat(1_000), b"LYRICSEND"].concat()
}

fn extended_id3v1() -> Vec<u8> {
    let mut tag = b"TAG+Title".to_vec();
    tag.resize(227, 0);
    tag
}

fn id3v2_footer() -> Vec<u8> {
    [b"ID3\x04\0\x10\0\0\0\x0a".as_slice(), &[0; 10], b"3DI\x04\0\x10\0\0\0\x0a"].concat()
}

/// What is found behind songs.
fn trailers() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ID3v1", id3v1()),
        ("extended ID3v1", [extended_id3v1(), id3v1()].concat()),
        ("APE", ape(true)),
        ("APE without header", ape(false)),
        ("APE and ID3v1", [ape(true), id3v1()].concat()),
        ("Lyrics3 and ID3v1", [lyrics3(), id3v1()].concat()),
        ("old Lyrics3 and ID3v1", [old_lyrics3(), id3v1()].concat()),
        ("ID3v2 at the end", id3v2_footer()),
        ("one zero", vec![0]),
        ("zeros", vec![0; 4_096]),
        ("many zeros", vec![0; 300_000]),
        ("text", b"Downloaded from example.com. Enjoy the music!\r\n".to_vec()),
        ("a long text", b"<html><body>Downloaded from example.com.</body></html>".repeat(100)),
        ("ones", vec![0xff; 1_000]),
        ("noise", (0..5_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
    ]
}

#[test]
fn songs_are_whole_whatever_follows_them() {
    let dir = dir();
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song(FRAMES, RATE_HZ));
    let input = original.to_str().expect("a plain path");
    let mut files: Vec<(&str, Vec<&str>)> = vec![
        ("a.wav", vec!["-c:a", "pcm_s16le"]),
        ("b.wav", vec!["-c:a", "adpcm_ms"]),
        ("a.w64", vec!["-c:a", "pcm_s24le"]),
        ("a.aiff", vec!["-c:a", "pcm_s16be"]),
        ("a.au", vec!["-c:a", "pcm_s16be"]),
        ("a.caf", vec!["-c:a", "pcm_s16be"]),
        ("a.flac", vec!["-c:a", "flac"]),
        ("b.flac", vec!["-c:a", "flac", "-compression_level", "0"]),
        ("aac.m4a", vec!["-c:a", "aac"]),
        ("faststart.m4a", vec!["-c:a", "aac", "-movflags", "+faststart"]),
        ("alac.m4a", vec!["-c:a", "alac"]),
        ("fragments.mp4", vec!["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"]),
        ("a.mov", vec!["-c:a", "pcm_s16le"]),
        ("a.mka", vec!["-c:a", "flac"]),
        ("b.mkv", vec!["-c:a", "libmp3lame"]),
        ("live.webm", vec!["-c:a", "libvorbis", "-live", "1"]),
        ("a.webm", vec!["-c:a", "libvorbis"]),
        ("a.ogg", vec!["-c:a", "libvorbis"]),
        ("flac.oga", vec!["-c:a", "flac"]),
        ("a.mp3", vec!["-c:a", "libmp3lame"]),
        ("a.aac", vec!["-c:a", "aac"]),
    ];
    if cfg!(feature = "opus") {
        files.push(("a.opus", vec!["-c:a", "libopus"]));
        files.push(("opus.webm", vec!["-c:a", "libopus"]));
    }
    let mut wrong = Vec::new();
    for (name, arguments) in files {
        let path = ffmpeg(&["-i", input], &arguments, &dir.path().join(name));
        let (info, whole, warnings) = try_read_with(&path, &strictly()).expect(name);
        assert_eq!(warnings, [], "{name}");
        assert!(whole.len() >= FRAMES, "{name}: {} frames", whole.len());
        let bytes = std::fs::read(&path).expect("the file");
        for (trailer, tail) in trailers() {
            // Without a container, noise may have a header of a frame.
            if trailer == "noise" && matches!(name, "a.mp3" | "a.aac") {
                continue;
            }
            std::fs::write(&path, [bytes.as_slice(), &tail].concat()).expect("a written file");
            match try_read_with(&path, &strictly()) {
                Ok((same, frames, warnings)) if same == info && frames == whole && warnings.is_empty() => {}
                Ok((other, frames, warnings)) => {
                    let what = format!("{} frames, stated {:?}, {warnings:?}", frames.len(), other.frames);
                    wrong.push(format!("{name} with {trailer}: {what}"));
                }
                Err(e) => wrong.push(format!("{name} with {trailer}: {e}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A FLAC file of our encoder, changed at its start.
fn flac(change: impl Fn(&mut Vec<u8>), path: &Path) -> Vec<Frame> {
    write(path, AudioFormat::Flac, RATE_HZ, &song(FRAMES, RATE_HZ));
    let mut bytes = std::fs::read(path).expect("the file");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("a written file");
    read(path).1
}

#[test]
fn flac_with_wrong_block_sizes_is_read() {
    let dir = dir();
    let path = dir.path().join("a.flac");
    let song = song(FRAMES, RATE_HZ);
    for least in [0_u16, 1, 15, 16, 77, 65_535] {
        let frames = flac(|bytes| bytes[8..10].copy_from_slice(&least.to_be_bytes()), &path);
        assert!(frames == song, "minimum {least}: {} frames", frames.len());
    }
    let frames = flac(|bytes| bytes[8..12].fill(0), &path);
    assert!(frames == song, "none: {} frames", frames.len());
    // From ffmpeg, and with a tag in front.
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song);
    let input = original.to_str().expect("a plain path");
    ffmpeg(&["-i", input], &["-c:a", "flac", "-sample_fmt", "s16"], &path);
    let mut bytes = std::fs::read(&path).expect("the file");
    bytes[8..10].fill(0);
    let tagged = [b"ID3\x04\0\0\0\0\0\x05.....".as_slice(), &bytes].concat();
    for bytes in [bytes, tagged] {
        std::fs::write(&path, bytes).expect("a written file");
        assert!(read(&path).1 == song);
    }
}

#[test]
fn short_flac_is_read() {
    let dir = dir();
    let path = dir.path().join("a.flac");
    for frames in [1, 5, 15, 16, 17, 4_096, 4_097] {
        let song = song(frames, RATE_HZ);
        write(&path, AudioFormat::Flac, RATE_HZ, &song);
        let mut bytes = std::fs::read(&path).expect("the file");
        bytes.extend(id3v1());
        std::fs::write(&path, &bytes).expect("a written file");
        assert!(read(&path).1 == song, "{frames}");
        // Some encoders state the size of the only block.
        let block = u16::try_from(frames.min(4_096)).expect("a block");
        bytes[8..10].copy_from_slice(&block.to_be_bytes());
        bytes[10..12].copy_from_slice(&block.to_be_bytes());
        std::fs::write(&path, &bytes).expect("a written file");
        assert!(read(&path).1 == song, "{frames}, stated");
    }
}

/// A tag at the end of PCM without a stated size is no sound, but a "TAG" that the size includes is.
#[test]
fn stated_samples_are_never_taken_for_a_tag() {
    let dir = dir();
    let path = dir.path().join("a.wav");
    let mut data = vec![1_u8; 4_000];
    data.extend(id3v1());
    std::fs::write(&path, super::support::wav(1, 2, RATE_HZ, 16, &data, data.len() as u32)).expect("a written file");
    assert_eq!(read(&path).1.len(), 1_032);
    std::fs::write(&path, super::support::wav(1, 2, RATE_HZ, 16, &data, u32::MAX)).expect("a written file");
    assert_eq!(read(&path).1.len(), 1_000);
}
