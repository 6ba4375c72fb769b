//! Tags and cover of the song in its stems.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vocalizer_model::audio::{AudioFormat, Bitrate, Cover, SongTags};
use vocalizer_model::{SplitOptions, Stem, split_file};

use super::support::tiny;
use crate::audio::support::{RATE_HZ, dir, ffmpeg, read, song, write};

const TITLE: &str = "Größe des Mondes 東京";

/// A song in this format with tags and, if the format holds one, a cover. Returns the cover's bytes too.
fn tagged(dir: &Path, name: &str, with_cover: bool) -> (PathBuf, Vec<u8>) {
    let (plain, cover, tags) = (dir.join("plain.wav"), dir.join("cover.png"), dir.join("tags.txt"));
    write(&plain, AudioFormat::Wav16, RATE_HZ, &song(30_000, RATE_HZ));
    ffmpeg(&["-f", "lavfi", "-i", "testsrc=size=64x48:duration=1:rate=1"], &["-frames:v", "1"], &cover);
    let text = format!(
        ";FFMETADATA1\ntitle={TITLE}\nartist=The Tides\nalbum=Low Water\nalbum_artist=Various\ngenre=Ambient\n\
         date=2019-03-01\ntrack=4/11\ndisc=1/2\n"
    );
    std::fs::write(&tags, text).expect("a file of tags");
    let paths = [&plain, &tags, &cover].map(|path| path.to_str().expect("a plain path").to_owned());
    let mut input = vec!["-i", &paths[0], "-f", "ffmetadata", "-i", &paths[1]];
    let mut arguments = vec!["-map", "0:a", "-map_metadata", "1"];
    if with_cover {
        input.extend(["-i", &paths[2]]);
        arguments.extend(["-map", "2:v", "-c:v", "copy", "-disposition:v", "attached_pic"]);
    }
    if name.ends_with("ogg") || name.ends_with("opus") || name.ends_with("webm") {
        arguments.extend(["-map_metadata:s:a", "1"]);
    }
    let file = ffmpeg(&input, &arguments, &dir.join(name));
    (file, std::fs::read(&cover).expect("the cover"))
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn tags_of_common_formats_are_read() {
    let dir = dir();
    for (name, with_cover, whole) in [
        ("song.mp3", true, true),
        ("song.flac", true, true),
        ("song.m4a", true, true),
        ("song.ogg", false, true),
        ("song.opus", false, true),
        ("song.wav", false, false),
        ("song.webm", false, true),
        ("song.mka", false, true),
    ] {
        let (file, cover) = tagged(dir.path(), name, with_cover);
        let tags = SongTags::read(&file);
        println!("{name}: {tags:?}");
        assert_eq!((&tags.title, &tags.artist), (&text(TITLE), &text("The Tides")), "{name}");
        assert_eq!((&tags.album, &tags.genre), (&text("Low Water"), &text("Ambient")), "{name}");
        assert_eq!(tags.cover, if with_cover { Cover::new(cover) } else { None }, "{name}");
        assert!(tags.date.as_deref().is_some_and(|date| date.starts_with("2019")), "{name}: {:?}", tags.date);
        if whole {
            assert_eq!(
                (tags.track, tags.track_total, tags.disc, tags.disc_total),
                (Some(4), Some(11), Some(1), Some(2)),
                "{name}"
            );
            assert_eq!(tags.album_artist, text("Various"), "{name}");
        }
    }
}

#[test]
fn lyrics_keep_their_lines() {
    let dir = dir();
    let plain = dir.path().join("plain.wav");
    write(&plain, AudioFormat::Wav16, RATE_HZ, &song(30_000, RATE_HZ));
    let lyrics = "[00:01.00]Größe des Mondes\n[00:05.50]東京";
    for name in ["song.mp3", "song.flac", "song.m4a", "song.ogg"] {
        // Without any other tag.
        let metadata = ["-map_metadata", "-1", "-fflags", "+bitexact", "-metadata", &format!("lyrics={lyrics}")];
        let file = ffmpeg(&["-i", plain.to_str().expect("a plain path")], &metadata, &dir.path().join(name));
        assert_eq!(SongTags::read(&file).lyrics.as_deref(), Some(lyrics), "{name}");
    }
}

#[test]
fn files_without_readable_tags_have_none() {
    let dir = dir();
    let path = dir.path().join("file");
    let whole = {
        let (file, _) = tagged(dir.path(), "song.mp3", true);
        std::fs::read(file).expect("the song")
    };
    for bytes in [&b""[..], b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"<html>", &whole[..5]] {
        std::fs::write(&path, bytes).expect("a file");
        assert!(SongTags::read(&path).is_empty());
    }
    assert!(SongTags::read(dir.path()).is_empty(), "a folder");
    assert!(SongTags::read(&dir.path().join("missing")).is_empty());
    // Any cut or changed byte must neither fail nor take long.
    for at in (0..whole.len().min(3_000)).step_by(7) {
        std::fs::write(&path, &whole[..at]).expect("a file");
        SongTags::read(&path);
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        std::fs::write(&path, changed).expect("a file");
        SongTags::read(&path);
    }
}

#[test]
fn covers_are_recognised_by_content_and_size() {
    for (bytes, media_type) in [
        (&b"\xff\xd8\xff\xe0"[..], Some("image/jpeg")),
        (b"\x89PNG\r\n\x1a\n", Some("image/png")),
        (b"GIF89a", Some("image/gif")),
        (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
        (b"BM\0\0", Some("image/bmp")),
        (b"<svg>", None),
        (b"", None),
    ] {
        assert_eq!(Cover::new(bytes).map(|cover| cover.media_type), media_type);
    }
    let mut large = b"\xff\xd8\xff\xe0".to_vec();
    large.resize((8 << 20) + 1, 0);
    assert!(Cover::new(large).is_none());
}

/// What ffprobe finds: the tags of the file or its stream with lower-case names, and the size of the cover.
fn probe(file: &Path) -> (Value, Option<(u64, u64)>) {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_format", "-show_streams", "-of", "json", "-i"]).arg(file);
    let done = command.output().expect("ffmpeg is required (./test installs it)");
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    let found: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let tags = found["format"]["tags"].as_object().into_iter().flatten();
    let tags = tags.map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    let streams = found["streams"].as_array().expect("streams");
    let cover = streams.iter().find(|stream| stream["codec_type"] == "video");
    (Value::Object(tags), cover.and_then(|cover| Some((cover["width"].as_u64()?, cover["height"].as_u64()?))))
}

fn formats() -> Vec<AudioFormat> {
    let mut formats = vec![AudioFormat::Flac, AudioFormat::Wav16, AudioFormat::Wav24, AudioFormat::WavF32];
    if cfg!(feature = "mp3") {
        formats.extend([AudioFormat::Mp3(Bitrate::Cbr(320)), AudioFormat::Mp3(Bitrate::Vbr(2))]);
    }
    formats
}

#[test]
fn stems_carry_tags_and_cover_and_the_same_samples() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let (input, cover) = tagged(dir.path(), "song.flac", true);
    for (number, format) in formats().into_iter().enumerate() {
        for mono in [false, true] {
            let split = |name: &str, tags: bool| {
                let mut options = SplitOptions::default();
                (options.format, options.mono, options.tags) = (format, mono, tags);
                options.stems = vec![Stem::VOCALS, Stem::DRUMS];
                let out = dir.path().join(format!("{number}-{mono}-{name}"));
                split_file(&model, &input, &out, &options).expect("stems").files
            };
            let (with, without) = (split("with", true), split("without", false));
            for ((with, without), stem) in with.iter().zip(&without).zip(["drums", "vocals"]) {
                // The tags do not change a sample, for this reader and for ffmpeg.
                assert!(read(with).1 == read(without).1, "{format:?}");
                let decoded = [with, without].map(|file| {
                    let pcm = ["-map", "0:a", "-f", "f32le", "-c:a", "pcm_f32le"];
                    let raw = ffmpeg(&["-i", file.to_str().expect("a plain path")], &pcm, &file.with_extension("raw"));
                    std::fs::read(raw).expect("the samples")
                });
                assert!(decoded[0] == decoded[1], "{format:?}: ffmpeg decodes other samples");

                let tags = SongTags::read(with);
                assert_eq!(tags.title, Some(format!("{TITLE} ({stem})")), "{format:?}");
                assert_eq!(tags.cover, Cover::new(cover.clone()), "{format:?}");
                assert_eq!((&tags.artist, &tags.album), (&text("The Tides"), &text("Low Water")));
                assert_eq!((&tags.date, &tags.album_artist), (&text("2019-03-01"), &text("Various")));
                assert_eq!(
                    (tags.track, tags.track_total, tags.disc, tags.disc_total),
                    (Some(4), Some(11), Some(1), Some(2))
                );
                assert!(SongTags::read(without).is_empty());

                let (found, picture) = probe(with);
                assert_eq!(found["title"], format!("{TITLE} ({stem})"), "{format:?}: {found}");
                assert_eq!(
                    (&found["artist"], &found["album"], &found["genre"]),
                    (&"The Tides".into(), &"Low Water".into(), &"Ambient".into())
                );
                assert_eq!(found["date"], "2019-03-01", "{format:?}: {found}");
                assert!(found["track"].as_str().is_some_and(|track| track.starts_with('4')), "{format:?}: {found}");
                let bytes = std::fs::read(with).expect("the file");
                match format {
                    AudioFormat::Mp3(_) => assert!(bytes.starts_with(b"ID3\x04")),
                    AudioFormat::Flac => assert!(bytes.starts_with(b"fLaC")),
                    _ => {
                        let stated = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
                        assert_eq!(stated as usize, bytes.len() - 8, "{format:?}");
                        for chunk in [b"LIST", b"id3 "] {
                            assert!(bytes.windows(4).any(|four| four == chunk), "{format:?}");
                        }
                    }
                }
                if matches!(format, AudioFormat::Mp3(_) | AudioFormat::Flac) {
                    assert_eq!(picture, Some((64, 48)), "{format:?}");
                }
            }
        }
    }
}

#[test]
fn song_without_tags_has_stems_without_tags() {
    let model = tiny("tiny-4s");
    let dir = dir();
    let input = dir.path().join("song.wav");
    write(&input, AudioFormat::Wav16, RATE_HZ, &song(20_000, RATE_HZ));
    for format in formats() {
        let mut options = SplitOptions::default();
        options.format = format;
        options.stems = vec![Stem::BASS];
        let report = split_file(&model, &input, &dir.path().join("stems"), &options).expect("a stem");
        assert!(SongTags::read(&report.files[0]).is_empty(), "{format:?}");
        let bytes = std::fs::read(&report.files[0]).expect("the file");
        assert!(!bytes.windows(4).any(|four| four == b"LIST" || four == b"id3 "), "{format:?}");
    }
}

#[test]
fn texts_are_one_line_and_short() {
    let dir = dir();
    let input = dir.path().join("song.flac");
    let mut write = vocalizer_model::audio::WriteOptions::default();
    write.tags.title = Some(format!("  a\nb\0c\u{1b}[31m {}", "x".repeat(5_000)));
    write.tags.artist = Some("\n\t ".into());
    let mut writer =
        vocalizer_model::audio::StemWriter::create_with(&input, AudioFormat::Flac, RATE_HZ, &write).expect("a writer");
    writer.write(&song(5_000, RATE_HZ)).expect("frames");
    writer.finish().expect("a file");
    let tags = SongTags::read(&input);
    let title = tags.title.expect("a title");
    assert!(title.starts_with("a b c [31m x") && title.chars().count() == 1_000, "{title}");
    assert_eq!(tags.artist, None);
}
