//! File names of downloads in `Content-Disposition` (RFC 6266 and RFC 8187).

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use vocalizer_core::part::Part;
use vocalizer_core::song::Title;

/// Maximum number of title characters in a file name. With 4 bytes each, plus part and extension, the name stays below
/// the 255 bytes that file systems allow.
const MAX_TITLE_CHARS: usize = 57;

/// The same in a name with a number, a tempo and a key.
const MAX_NUMBERED_TITLE_CHARS: usize = 49;

/// Characters that RFC 8187 leaves unescaped (`attr-char`).
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// How a browser handles the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Play it. The name applies if the user saves it.
    Inline,
    /// Save it.
    Attachment,
}

/// Returns the `Content-Disposition` of a part: `Title.mp3` for the song, `Title (vocals).mp3` for a stem.
///
/// Characters that are special in file systems (`/`, `\`, `:` and so on, a leading dot) become `_`. A title that is not
/// plain ASCII is sent twice: in full as `filename*` (RFC 8187), and as `filename` with `_` for other characters.
#[must_use]
pub fn header(kind: Kind, title: &Title, part: Part, extension: &str) -> HeaderValue {
    named(kind, &file_name(title, part, extension))
}

/// Returns the `Content-Disposition` of a file with several parts: `Title (stems).zip`, `Title (mix).mp3`.
#[must_use]
pub fn whole_header(title: &Title, what: &str, extension: &str) -> HeaderValue {
    named(Kind::Attachment, &build(title, Some(what), extension))
}

/// Returns the `Content-Disposition` of a file with a name.
#[must_use]
pub fn named(kind: Kind, name: &str) -> HeaderValue {
    let kind = match kind {
        Kind::Inline => "inline",
        Kind::Attachment => "attachment",
    };
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let text = if plain == name {
        format!("{kind}; filename=\"{plain}\"")
    } else {
        format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ATTR_CHAR))
    };
    // The text is printable ASCII by construction; the fallback never applies.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// Returns the file name of a part: `Title.mp3`, `Title (vocals).mp3`.
#[must_use]
pub fn file_name(title: &Title, part: Part, extension: &str) -> String {
    build(title, Some(part.name()).filter(|_| part != Part::Song), extension)
}

/// What the names of stems tell audio workstations about the song.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// Beats per minute.
    pub tempo_bpm: Option<u64>,
    /// The key, such as `F#m`.
    pub key: Option<String>,
}

/// Returns the name of a stem's file for audio workstations, which sort tracks by name and read the tempo:
/// `04 Title (vocals) 120 BPM F#m.wav`.
///
/// ```
/// use vocalizer_core::part::Part;
/// use vocalizer_core::song::Title;
/// use vocalizer_http::disposition::{Label, numbered_name};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let title = Title::parse("Ada: First Light", 200)?;
/// let label = Label { tempo_bpm: Some(120), key: Some("A".to_owned()) };
/// assert_eq!(numbered_name(&title, 4, Part::Vocals, "wav", &label), "04 Ada_ First Light (vocals) 120 BPM A.wav");
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn numbered_name(title: &Title, number: usize, part: Part, extension: &str, label: &Label) -> String {
    let title: String = title.as_str().chars().take(MAX_NUMBERED_TITLE_CHARS).collect();
    let tempo = label.tempo_bpm.map(|bpm| format!(" {bpm} BPM")).unwrap_or_default();
    let key = label.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
    plain_name(&format!("{number:02} {title} ({}){tempo}{key}.{extension}", part.name()))
}

fn build(title: &Title, what: Option<&str>, extension: &str) -> String {
    let mut name: String = title.as_str().chars().take(MAX_TITLE_CHARS).collect();
    if let Some(what) = what {
        name.push_str(&format!(" ({what})"));
    }
    name.push('.');
    name.push_str(extension);
    plain_name(&name)
}

/// Replaces what file systems do not allow.
fn plain_name(name: &str) -> String {
    let name = name.replace(['/', '\\', ':', '*', '?', '"', '<', '>', '|'], "_");
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// Returns whether `c` is safe in a quoted string. `%` is not: some browsers decode it.
const fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%')
}
