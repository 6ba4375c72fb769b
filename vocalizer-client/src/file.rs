//! The files of a song and their local names.

use vocalizer_api::id::SongId;
use vocalizer_api::part::{Format, Part, Stem};

/// Maximum number of title characters in a file name. With 4 bytes each, plus part, extension and `.part`, the name
/// stays below the 255 bytes that file systems allow.
const MAX_TITLE_CHARS: usize = 56;

/// Device names on Windows, with any extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A file of a song: a [`Part`] (as MP3), a part with a [`Format`], an archive with all stems, or a mix of the stems.
///
/// `song.mp3` is the uploaded file itself, in its own format; other formats are converted from it.
///
/// ```
/// use vocalizer_client::{Archive, Format, Part, SongFile};
///
/// let vocals: SongFile = Part::Vocals.into();
/// let lossless: SongFile = (Part::Accompaniment, Format::Flac).into();
/// let everything = SongFile::stems(Archive::Zip, Format::Wav);
/// # assert!(vocals != lossless && lossless != everything);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SongFile(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Part(Part, Format),
    Preview(Part),
    Stems(Archive, Format),
    Mix(Gains, Format),
}

/// The gain of each stem in a mix, as a factor from 0 to 2; 1 by default.
///
/// ```
/// use vocalizer_client::{Format, Gains, SongFile, Stem};
///
/// // Practice the drums along with the others.
/// let mix = SongFile::mix(Gains::new().with(Stem::DRUMS, 0.0).with(Stem::VOCALS, 0.5), Format::Mp3);
/// # let _ = mix;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Gains([f32; Stem::SIX.len()]);

impl Gains {
    /// Returns gains of 1.
    pub const fn new() -> Self {
        Self([1.0; Stem::SIX.len()])
    }

    /// Sets the gain of a stem of six. Others are ignored.
    ///
    /// ```
    /// use vocalizer_client::{Gains, Stem};
    ///
    /// let karaoke = Gains::new().with(Stem::VOCALS, 0.0);
    /// assert_ne!(karaoke, Gains::new());
    /// assert_eq!(Gains::new().with("kick".parse()?, 0.0), Gains::new());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with(mut self, stem: Stem, gain: f32) -> Self {
        if let Some(index) = Stem::SIX.iter().position(|&six| six == stem) {
            self.0[index] = gain;
        }
        self
    }
}

impl Default for Gains {
    fn default() -> Self {
        Self::new()
    }
}

/// An archive format.
///
/// ```no_run
/// # use vocalizer_client::{Archive, Client, Error, Format, SongFile, SongId};
/// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
/// let stems = SongFile::stems(Archive::Tar, Format::Flac);
/// client.download_to(id, stems, "stems.tar").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Archive {
    /// ZIP, stored without compression.
    Zip,
    /// Tar.
    Tar,
}

impl SongFile {
    /// Returns an archive with all stems.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Archive, Client, Error, Format, SongFile, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// let stems = SongFile::stems(Archive::Zip, Format::Mp3);
    /// let title = client.song(id).await?.title;
    /// client.download_to(id, stems, stems.name(&title)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn stems(archive: Archive, format: Format) -> Self {
        Self(Kind::Stems(archive, format))
    }

    /// Returns a preview of a part: an MP3 of 64 kbit/s, for listening over a slow connection. Servers of earlier versions
    /// send the MP3 at full quality.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Part, SongFile, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let vocals = client.download_bytes(id, SongFile::preview(Part::Vocals), 10_000_000).await?;
    /// # assert_eq!(vocals, "fake mp3 of 1 files");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn preview(part: Part) -> Self {
        Self(Kind::Preview(part))
    }

    /// Returns a mix of the stems. It is made for each request, so an interrupted download starts again.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Format, Gains, SongFile, SongId, Stem};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// let quiet_vocals = Gains::new().with(Stem::VOCALS, 0.3);
    /// client.download_to(id, SongFile::mix(quiet_vocals, Format::Mp3), "practice.mp3").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn mix(gains: Gains, format: Format) -> Self {
        Self(Kind::Mix(gains, format))
    }

    /// Returns a local file name: `Title.mp3` for the song, `Title (vocals).mp3` for another part, `Title (stems, WAV).zip`.
    ///
    /// The name is valid on every system for any title: no path, not hidden, no control characters, not too long.
    ///
    /// ```
    /// use vocalizer_client::{Archive, Format, Part, SongFile};
    ///
    /// assert_eq!(SongFile::from(Part::Vocals).name("Clair de lune"), "Clair de lune (vocals).mp3");
    /// assert_eq!(SongFile::stems(Archive::Zip, Format::Wav).name("Clair de lune"), "Clair de lune (stems, WAV).zip");
    /// assert_eq!(SongFile::from(Part::Song).name("../AC/DC: live?"), "_.._AC_DC_ live_.mp3");
    /// ```
    #[must_use]
    pub fn name(self, title: &str) -> String {
        let (what, extension) = match self.0 {
            Kind::Part(Part::Song, format) => (String::new(), format.extension()),
            Kind::Part(part, format) => (format!(" ({part})"), format.extension()),
            Kind::Preview(part) => (format!(" ({part}, preview)"), "mp3"),
            Kind::Stems(archive, format) => {
                let extension = if archive == Archive::Zip { "zip" } else { "tar" };
                (format!(" (stems, {})", format.extension().to_uppercase()), extension)
            }
            Kind::Mix(_, format) => (" (mix)".to_owned(), format.extension()),
        };
        format!("{}{what}.{extension}", stem(title))
    }

    pub(crate) fn path(self, id: SongId) -> String {
        match self.0 {
            Kind::Part(part, format) => format!("songs/{id}/{part}.{format}"),
            Kind::Preview(part) => format!("songs/{id}/{part}.mp3?quality=preview"),
            Kind::Stems(Archive::Zip, format) => format!("songs/{id}/stems.zip?format={format}"),
            Kind::Stems(Archive::Tar, format) => format!("songs/{id}/stems.tar?format={format}"),
            Kind::Mix(Gains(gains), format) => {
                let (four, others) = gains.split_at(Stem::FOUR.len());
                let of = |stems: &[Stem], gains: &[f32], to: char| {
                    let gains = stems.iter().zip(gains).map(|(stem, gain)| format!("{stem}{to}{gain}"));
                    gains.collect::<Vec<_>>()
                };
                let mut query = of(&Stem::FOUR, four, '=');
                // Servers of earlier versions do not know the parameter.
                if others.iter().any(|&gain| gain != 1.0) {
                    query.push(format!("levels={}", of(&Stem::SIX[Stem::FOUR.len()..], others, ':').join(",")));
                }
                format!("songs/{id}/mix.{format}?{}", query.join("&"))
            }
        }
    }

    /// Returns the name in errors, and the allowed content types.
    pub(crate) const fn types(self) -> (&'static str, &'static [&'static str]) {
        match self.0 {
            Kind::Part(..) | Kind::Preview(..) | Kind::Mix(..) => ("audio", &["audio/", "application/octet-stream"]),
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

/// Converts a title into the start of a file name.
fn stem(title: &str) -> String {
    let chars = title.trim().chars().take(MAX_TITLE_CHARS);
    let mut stem: String = chars.map(|c| if is_special(c) { '_' } else { c }).collect();
    // Windows drops trailing dots and spaces; a leading dot hides the file.
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

/// Returns whether a character is special to file systems or terminals.
fn is_special(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
