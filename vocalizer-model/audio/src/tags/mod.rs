//! The tags of a song, which its stems carry.

mod matroska;
mod read;
mod write;

use std::sync::Arc;

pub(crate) use write::{flac_options, id3v2, wav_chunks};

/// The most bytes of a cover that is carried. A FLAC block holds at most 16 MiB.
const MAX_COVER_BYTES: usize = 8 << 20;

/// The most characters of a text that is carried.
const MAX_TEXT_CHARS: usize = 1_000;

/// The most characters of lyrics that are read.
const MAX_LYRICS_CHARS: usize = 100_000;

/// The tags that a stem takes over from its song: [`SongTags::read`] reads them, [`WriteOptions`](crate::WriteOptions) writes
/// them.
///
/// Texts are one line of at most 1,000 characters. Several values, such as two artists, are separated by "; ".
///
/// ```
/// use vocalizer_audio::{AudioFormat, SongTags, StemWriter, WriteOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("song.wav");
/// # let mut song = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
/// # song.write(&[[0.5, -0.5]; 44_100])?;
/// # song.finish()?;
/// let tags = SongTags::read(&path);
/// let mut options = WriteOptions::default();
/// options.tags = tags.for_stem("vocals");
/// let mut writer = StemWriter::create_with(&path.with_extension("flac"), AudioFormat::Flac, 44_100, &options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SongTags {
    /// Title of the song.
    pub title: Option<String>,
    /// Artist of the song.
    pub artist: Option<String>,
    /// Title of the album.
    pub album: Option<String>,
    /// Artist of the album.
    pub album_artist: Option<String>,
    /// Genre by name.
    pub genre: Option<String>,
    /// Year, or date as `2024-05-17`.
    pub date: Option<String>,
    /// Number of the track on its disc.
    pub track: Option<u32>,
    /// Number of tracks on the disc.
    pub track_total: Option<u32>,
    /// Number of the disc.
    pub disc: Option<u32>,
    /// Number of discs.
    pub disc_total: Option<u32>,
    /// The front cover.
    pub cover: Option<Cover>,
    /// The lyrics, plain or in the LRC format, with at most 100,000 characters. Stems do not carry them.
    pub lyrics: Option<String>,
    /// Name of the stem. It is added to the title: `<title> (<stem>)`.
    pub stem: Option<String>,
}

/// A cover picture.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cover {
    /// Media type of the picture, such as `image/jpeg`.
    pub media_type: &'static str,
    /// The picture's file, shared by the tags of all stems.
    pub bytes: Arc<[u8]>,
}

impl std::fmt::Debug for Cover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cover").field("media_type", &self.media_type).field("bytes", &self.bytes.len()).finish()
    }
}

impl Cover {
    /// Takes a JPEG, PNG, GIF, WebP or BMP of at most 8 MiB. The content decides the media type. `None` for other files.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        let media_type = match *bytes {
            _ if bytes.len() > MAX_COVER_BYTES => return None,
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
            [b'G', b'I', b'F', b'8', ..] => "image/gif",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            [b'B', b'M', ..] => "image/bmp",
            _ => return None,
        };
        Some(Self { media_type, bytes })
    }
}

impl SongTags {
    /// Returns the tags with the name of a stem.
    #[must_use]
    pub fn for_stem(&self, stem: impl Into<String>) -> Self {
        Self { stem: Some(stem.into()), ..self.clone() }
    }

    /// Returns whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        let Self {
            title,
            artist,
            album,
            album_artist,
            genre,
            date,
            track,
            track_total,
            disc,
            disc_total,
            cover,
            lyrics: _,
            stem: _,
        } = self;
        let texts = [title, artist, album, album_artist, genre, date];
        let numbers = [track, track_total, disc, disc_total];
        texts.iter().all(|text| text.is_none()) && numbers.iter().all(|number| number.is_none()) && cover.is_none()
    }

    /// Returns the title with the stem's name.
    fn full_title(&self) -> Option<String> {
        let title = self.title.as_deref()?;
        Some(self.stem.as_deref().map_or_else(|| title.to_owned(), |stem| format!("{title} ({stem})")))
    }
}

/// Returns the lines of a text from a file, without other control characters. Returns `None` if nothing is left.
fn lines(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').take(MAX_LYRICS_CHARS).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Makes one line of a text from a file. Returns `None` if nothing is left.
fn line(text: &str) -> Option<String> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text: String = text.trim().chars().take(MAX_TEXT_CHARS).collect();
    (!text.is_empty()).then_some(text)
}
