//! The name under which a browser saves a part, by RFC 6266 and RFC 8187.

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use vocalizer_core::part::Part;
use vocalizer_core::song::Title;

/// Longest piece of a title that goes into a file name. File systems take 255 bytes; four for each of these, with the part
/// and the extension, stay below.
const MAX_TITLE_CHARS: usize = 57;

/// What RFC 8187 leaves as it is (`attr-char`).
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

/// What a browser is to do with the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Play it; the name is used when it is saved.
    Inline,
    /// Save it.
    Attachment,
}

/// The `Content-Disposition` of a part: `Title.mp3` for the song, `Title (vocals).mp3` for a stem.
///
/// What file systems give a meaning to (`/`, `\`, `:` and the like, a dot at the beginning) becomes `_`. A title that is
/// not plain ASCII is sent twice: whole for whoever reads RFC 8187, and with `_` for what others could not show.
#[must_use]
pub fn header(kind: Kind, title: &Title, part: Part, extension: &str) -> HeaderValue {
    named(kind, &file_name(title, part, extension))
}

/// The `Content-Disposition` of what is made of several parts: `Title (stems).zip`, `Title (mix).mp3`.
#[must_use]
pub fn whole_header(title: &Title, what: &str, extension: &str) -> HeaderValue {
    named(Kind::Attachment, &build(title, Some(what), extension))
}

fn named(kind: Kind, name: &str) -> HeaderValue {
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
    // The text is printable ASCII by construction, so the fallback is for the compiler.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// The name of a part as a file: `Title.mp3`, `Title (vocals).mp3`.
#[must_use]
pub fn file_name(title: &Title, part: Part, extension: &str) -> String {
    build(title, Some(part.name()).filter(|_| part != Part::Song), extension)
}

fn build(title: &Title, what: Option<&str>, extension: &str) -> String {
    let mut name: String = title.as_str().chars().take(MAX_TITLE_CHARS).collect();
    if let Some(what) = what {
        name.push_str(&format!(" ({what})"));
    }
    name.push('.');
    name.push_str(extension);
    let name = name.replace(['/', '\\', ':', '*', '?', '"', '<', '>', '|'], "_");
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// What may stand in a quoted string and means itself everywhere; some browsers decode `%` even there.
const fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%')
}
