//! Writes tags in the forms of the output formats.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flac_codec::encode::Options;
use flac_codec::metadata::{Picture as FlacPicture, PictureType as FlacPictureType};
use lofty::config::WriteOptions;
use lofty::id3::v2::Id3v2Tag;
use lofty::iff::wav::RiffInfoList;
use lofty::picture::{MimeType, Picture, PictureType};
use lofty::tag::{ItemKey, Tag, TagExt as _, TagType};

use super::{Cover, SongTags, line};
use crate::error::EncodeError;

/// Returns an ID3v2.4 tag, or nothing if there are no tags.
pub(crate) fn id3v2(tags: &SongTags) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    if !tags.is_empty() {
        let mut tag = Tag::new(TagType::Id3v2);
        for (key, _, _, value) in fields(tags) {
            tag.insert_text(key, value);
        }
        if let Some(Cover { media_type, bytes }) = &tags.cover {
            let picture = Picture::unchecked(bytes.to_vec()).pic_type(PictureType::CoverFront);
            tag.push_picture(picture.mime_type(MimeType::from_str(media_type)).build());
        }
        // Padding would only help later edits in place.
        let options = WriteOptions::new().preferred_padding(0);
        Id3v2Tag::from(tag).dump_to(&mut bytes, options).map_err(failed)?;
    }
    Ok(bytes)
}

/// Returns the chunks that a WAV file ends with: `LIST` with the texts that it has fields for, and `id3 ` with all.
pub(crate) fn wav_chunks(tags: &SongTags) -> Result<Vec<u8>, EncodeError> {
    let mut chunks = Vec::new();
    let mut list = RiffInfoList::new();
    for (_, _, info, value) in fields(tags) {
        if let Some(info) = info {
            list.insert(info.to_owned(), value);
        }
    }
    if !list.is_empty() {
        list.dump_to(&mut chunks, WriteOptions::new()).map_err(failed)?;
    }
    let id3 = id3v2(tags)?;
    if !id3.is_empty() {
        // The size of an ID3v2 tag has 28 bits.
        let size = u32::try_from(id3.len()).map_err(failed)?;
        chunks.extend(b"id3 ");
        chunks.extend(size.to_le_bytes());
        chunks.extend(&id3);
        chunks.resize(chunks.len().next_multiple_of(2), 0);
    }
    Ok(chunks)
}

/// Returns the options of a FLAC encoder that writes the tags.
pub(crate) fn flac_options(tags: &SongTags) -> Options {
    let options = fields(tags).fold(Options::default(), |options, (_, name, _, value)| options.tag(name, value));
    match &tags.cover {
        Some(cover) => options.picture(flac_picture(cover)),
        None => options,
    }
}

fn flac_picture(Cover { media_type, bytes }: &Cover) -> FlacPicture {
    // The library reads the size from the picture, which may be damaged: a panic there must not end the process.
    let read = || FlacPicture::new(FlacPictureType::FrontCover, "", bytes.to_vec());
    let measured = catch_unwind(AssertUnwindSafe(read)).ok().and_then(Result::ok);
    measured.unwrap_or_else(|| FlacPicture {
        picture_type: FlacPictureType::FrontCover,
        media_type: (*media_type).to_owned(),
        description: String::new(),
        width: 0,
        height: 0,
        color_depth: 0,
        colors_used: None,
        data: bytes.to_vec(),
    })
}

/// Returns each field that is present: its key for ID3v2, its names in Vorbis comments and in RIFF INFO, and its value.
fn fields(tags: &SongTags) -> impl Iterator<Item = (ItemKey, &'static str, Option<&'static str>, String)> {
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let all = [
        (ItemKey::TrackTitle, "TITLE", Some("INAM"), tags.full_title()),
        (ItemKey::TrackArtist, "ARTIST", Some("IART"), tags.artist.clone()),
        (ItemKey::AlbumTitle, "ALBUM", Some("IPRD"), tags.album.clone()),
        (ItemKey::AlbumArtist, "ALBUMARTIST", None, tags.album_artist.clone()),
        (ItemKey::Genre, "GENRE", Some("IGNR"), tags.genre.clone()),
        (ItemKey::RecordingDate, "DATE", Some("ICRD"), tags.date.clone()),
        (ItemKey::TrackNumber, "TRACKNUMBER", Some("IPRT"), number(tags.track)),
        (ItemKey::TrackTotal, "TRACKTOTAL", None, number(tags.track_total)),
        (ItemKey::DiscNumber, "DISCNUMBER", None, number(tags.disc)),
        (ItemKey::DiscTotal, "DISCTOTAL", None, number(tags.disc_total)),
    ];
    all.into_iter().filter_map(|(key, vorbis, info, value)| Some((key, vorbis, info, line(&value?)?)))
}

fn failed(error: impl std::fmt::Display) -> EncodeError {
    EncodeError::Internal(format!("the tags could not be written: {error}"))
}
