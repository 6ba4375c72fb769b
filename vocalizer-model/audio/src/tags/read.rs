//! Reads the tags of a song: with lofty, and those of Matroska and of FLAC in Ogg, which lofty does not know.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt as _;
use lofty::picture::PictureType;
use lofty::probe::Probe;
use lofty::tag::{Accessor as _, ItemKey, Tag};

use super::{Cover, SongTags, line, lines, matroska};
use crate::input_file::InputFile;
use crate::ogg;

/// Junk before the first frame of an MP3 that is skipped, as in decoding.
const JUNK_BYTES: usize = 1 << 16;

impl SongTags {
    /// Reads the tags of a file; its content decides the format. A file without readable tags has none: damaged tags do not
    /// make a song unusable.
    pub fn read(path: &Path) -> Self {
        // Opening a pipe would wait for a writer.
        let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
        let first = |path| File::open(path).ok().and_then(|file| guarded(|| with_lofty(file)));
        let second = |path| File::open(path).ok().and_then(|file| guarded(|| matroska::read(file)));
        let third = |path| File::open(path).ok().and_then(|file| guarded(|| flac_in_ogg(file)));
        let any = |path| first(path).or_else(|| second(path)).or_else(|| third(path));
        if is_file { any(path).unwrap_or_default() } else { Self::default() }
    }
}

impl SongTags {
    /// Reads the tags of a file that is open, and rewinds it, as far as that is possible. Those of FLAC in Ogg are not read.
    pub fn from_reader(mut file: impl Read + Seek) -> Self {
        let tags = guarded(|| with_lofty(&mut file)).or_else(|| {
            file.rewind().ok()?;
            guarded(|| matroska::read(&mut file))
        });
        // If this fails, so does the next read.
        let _ = file.rewind();
        tags.unwrap_or_default()
    }
}

/// Turns a panic into an absence of tags: a bug in a parser must not end the process.
fn guarded(read: impl FnOnce() -> Option<SongTags>) -> Option<SongTags> {
    catch_unwind(AssertUnwindSafe(read)).ok().flatten().filter(|tags| !tags.is_empty() || tags.lyrics.is_some())
}

/// Reads the headers of the stream as those of a FLAC file.
fn flac_in_ogg(file: File) -> Option<SongTags> {
    let len_bytes = file.metadata().ok()?.len();
    let head = ogg::flac_head(InputFile::new(Box::new(file), len_bytes)).ok()??;
    with_lofty(Cursor::new(head))
}

fn with_lofty(file: impl Read + Seek) -> Option<SongTags> {
    let options = ParseOptions::new().read_properties(false).max_junk_bytes(JUNK_BYTES);
    let probe = Probe::new(BufReader::new(file)).options(options).guess_file_type().ok()?;
    let file = probe.read().ok()?;
    // The format's own tag comes first; another fills its gaps, such as an ID3v1 tag after an APE tag.
    let own = file.primary_tag_type();
    let tags: Vec<&Tag> =
        file.primary_tag().into_iter().chain(file.tags().iter().filter(|t| t.tag_type() != own)).collect();
    let text = |keys: &[ItemKey]| keys.iter().find_map(|&key| tags.iter().find_map(|tag| joined(tag.get_strings(key))));
    let number = |get: fn(&Tag) -> Option<u32>| tags.iter().find_map(|tag| get(tag)).filter(|&number| number > 0);
    Some(SongTags {
        title: text(&[ItemKey::TrackTitle]),
        artist: text(&[ItemKey::TrackArtist]),
        album: text(&[ItemKey::AlbumTitle]),
        album_artist: text(&[ItemKey::AlbumArtist]),
        genre: text(&[ItemKey::Genre]),
        date: text(&[ItemKey::RecordingDate, ItemKey::Year, ItemKey::ReleaseDate]),
        track: number(|tag| tag.track()),
        track_total: number(|tag| tag.track_total()),
        disc: number(|tag| tag.disk()),
        disc_total: number(|tag| tag.disk_total()),
        cover: tags.iter().find_map(|tag| {
            let pictures = tag.pictures();
            let front = pictures.iter().find(|picture| picture.pic_type() == PictureType::CoverFront);
            front.or(pictures.first()).and_then(|picture| Cover::new(picture.data()))
        }),
        lyrics: [ItemKey::Lyrics, ItemKey::UnsyncLyrics]
            .into_iter()
            .find_map(|key| tags.iter().find_map(|tag| tag.get_strings(key).find_map(lines))),
        stem: None,
    })
}

/// Joins the values of a field.
fn joined<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let values: Vec<_> = values.filter_map(line).collect();
    line(&values.join("; "))
}
