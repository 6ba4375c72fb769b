//! What of a song can be downloaded, and under which name it is kept.

use vocalizer_core::part::{Format, Part};
use vocalizer_core::song::SongId;

/// Longest piece of a title that goes into a file name. File systems take 255 bytes; four for each of these, with the part,
/// the extension and `.part`, stay below.
const MAX_TITLE_CHARS: usize = 56;

/// What Windows takes for a device, whatever the extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A file that can be downloaded of a song. A [`Part`] alone is one, as MP3, and so is a part with a [`Format`].
///
/// `song.mp3` is the song as it was uploaded, whatever that is; other formats of it are made of it.
///
/// ```
/// use vocalizer_client::{Archive, Format, Part, SongFile};
///
/// let vocals: SongFile = Part::Vocals.into();
/// let lossless: SongFile = (Part::Accompaniment, Format::Flac).into();
/// let everything = SongFile::stems(Archive::Zip, Format::Wav);
/// # assert!(vocals != lossless && lossless != everything);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SongFile(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Part(Part, Format),
    Stems(Archive, Format),
}

/// What several files come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Archive {
    /// ZIP, not compressed: audio does not get smaller.
    Zip,
    /// Tar.
    Tar,
}

impl SongFile {
    /// All four stems in one file.
    #[must_use]
    pub const fn stems(archive: Archive, format: Format) -> Self {
        Self(Kind::Stems(archive, format))
    }

    /// The name to keep it under: `Title.mp3` for the song, `Title (vocals).mp3` for another part, `Title (stems).zip`.
    ///
    /// Whatever the title is, the name is one, on every system: no path, nothing hidden, nothing that steers a terminal,
    /// not too long.
    #[must_use]
    pub fn name(self, title: &str) -> String {
        let (what, extension) = match self.0 {
            Kind::Part(Part::Song, format) => (String::new(), format.extension()),
            Kind::Part(part, format) => (format!(" ({part})"), format.extension()),
            Kind::Stems(Archive::Zip, _) => (" (stems)".to_owned(), "zip"),
            Kind::Stems(Archive::Tar, _) => (" (stems)".to_owned(), "tar"),
        };
        format!("{}{what}.{extension}", stem(title))
    }

    pub(crate) fn path(self, id: SongId) -> String {
        match self.0 {
            Kind::Part(part, format) => format!("songs/{id}/{part}.{format}"),
            Kind::Stems(Archive::Zip, format) => format!("songs/{id}/stems.zip?format={format}"),
            Kind::Stems(Archive::Tar, format) => format!("songs/{id}/stems.tar?format={format}"),
        }
    }

    /// What it is called in errors, and the types that its answer may have.
    pub(crate) const fn types(self) -> (&'static str, &'static [&'static str]) {
        match self.0 {
            Kind::Part(..) => ("audio", &["audio/", "application/octet-stream"]),
            Kind::Stems(Archive::Zip, _) => ("a zip archive", &["application/zip", "application/octet-stream"]),
            Kind::Stems(Archive::Tar, _) => ("a tar archive", &["application/x-tar", "application/octet-stream"]),
        }
    }
}

impl From<Part> for SongFile {
    fn from(part: Part) -> Self {
        (part, Format::Mp3).into()
    }
}

impl From<(Part, Format)> for SongFile {
    fn from((part, format): (Part, Format)) -> Self {
        Self(Kind::Part(part, format))
    }
}

/// A title as the beginning of a file name.
fn stem(title: &str) -> String {
    let shown = title.trim().chars().take(MAX_TITLE_CHARS);
    let mut stem: String = shown.map(|c| if means_something(c) { '_' } else { c }).collect();
    // Windows drops dots and spaces at the end; at the beginning a dot hides.
    stem.truncate(stem.trim_end_matches(['.', ' ']).len());
    if stem.is_empty() {
        return "song".to_owned();
    }
    let base = stem.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if stem.starts_with('.') || DEVICES.contains(&base.as_str()) {
        stem.insert(0, '_');
    }
    stem
}

/// Whether file systems or terminals take a character for more than itself.
fn means_something(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
