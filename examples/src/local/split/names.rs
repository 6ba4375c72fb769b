//! Names of files and folders made from names of songs, tags and titles, which are not trusted.

/// The longest name, in bytes. File systems allow 255 bytes or more; the rest is for endings and temporary names.
pub(super) const MAX_BYTES: usize = 200;

/// The shortest limit on a name, in bytes.
pub(super) const MIN_BYTES: usize = 16;

/// The name of what has no usable name.
const UNNAMED: &str = "untitled";

/// Returns a name that every common file system takes and that is one component of a path: not empty, not `.` or `..`, not
/// hidden, not a device of Windows, without separators, control characters and characters that Windows forbids.
pub(crate) fn safe_name(text: &str) -> String {
    safe_name_within(text, MAX_BYTES)
}

/// [`safe_name`] with a limit on its bytes, which is at least 16.
pub(super) fn safe_name_within(text: &str, max_bytes: usize) -> String {
    let max_bytes = max_bytes.max(MIN_BYTES);
    let replaced: String = text.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    let mut name = replaced.trim_matches(is_trimmed);
    name = cut(name, max_bytes).trim_end_matches(is_trimmed);
    if name.is_empty() {
        return UNNAMED.to_owned();
    }
    if is_reserved(name) {
        return cut(&format!("_{name}"), max_bytes).trim_end_matches(is_trimmed).to_owned();
    }
    name.to_owned()
}

/// Cuts a text to this many bytes, between two characters.
pub(super) fn cut(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text)
}

/// Windows drops dots and spaces at the end; a dot at the start hides a file.
fn is_trimmed(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

fn is_allowed(c: char) -> bool {
    // Characters that are invisible or reverse the order of a line can make a name look like another.
    let misleads = matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !misleads && !matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*')
}

/// Returns whether Windows takes the name for a device, with any ending, or this program takes it for its manifest.
fn is_reserved(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name).trim_end_matches(is_trimmed).to_uppercase();
    let is_port = |prefix: &str| {
        let rest = base.strip_prefix(prefix).unwrap_or_default();
        matches!(rest, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    };
    let is_device = matches!(&*base, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$");
    is_device || is_port("COM") || is_port("LPT") || name.eq_ignore_ascii_case(super::manifest::FILE_NAME)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::{MAX_BYTES, is_reserved, safe_name, safe_name_within};

    #[test]
    fn usual_names_are_kept() {
        for name in [
            "Some Song",
            "01 - Été à Paris",
            "Ёлка",
            "雨",
            "a.b",
            "-rf",
            "_x",
            "🎵 live (2024)",
            "R.E.M. & co",
            "CONTACT",
            "COM10",
        ] {
            assert_eq!(safe_name(name), name);
        }
    }

    #[test]
    fn bad_names_are_replaced() {
        for (bad, good) in [
            ("", "untitled"),
            (".", "untitled"),
            ("..", "untitled"),
            (" . . ", "untitled"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("C:\\Windows", "C__Windows"),
            (".hidden", "hidden"),
            ("...And Justice for All", "And Justice for All"),
            ("song. . ", "song"),
            ("\u{a0}song\u{3000}", "song"),
            ("a<b>c:d\"e/f\\g|h?i*j", "a_b_c_d_e_f_g_h_i_j"),
            ("a\0b\nc\x1b[31m\x7f", "a_b_c_[31m_"),
            ("gpj.\u{202e}exe", "gpj._exe"),
            ("CON", "_CON"),
            ("nul.wav", "_nul.wav"),
            ("Aux .x", "_Aux .x"),
            ("com1", "_com1"),
            ("LPT³", "_LPT³"),
            ("conin$", "_conin$"),
            ("Vocalizer.JSON", "_Vocalizer.JSON"),
        ] {
            assert_eq!(safe_name(bad), good, "{bad:?}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(safe_name(&"é".repeat(500)), "é".repeat(100));
        assert_eq!(safe_name_within(&format!("{}. x", "a".repeat(18)), 20), "a".repeat(18));
        assert_eq!(safe_name_within(&format!("CON{}x", " ".repeat(40)), 20), "_CON");
    }

    /// Texts with many characters that matter here.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[./\\\\ :*?\"<>|\\x00-\\x20a-c]{0,40}",
            "(?i:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9]|conout\\$)[. ]{0,3}[a-z.]{0,4}",
            "[é. ]{100,400}",
        ]
    }

    proptest! {
        #[test]
        fn every_name_is_one_plain_component(text in texts(), max_bytes in 0_usize..=MAX_BYTES) {
            let name = safe_name_within(&text, max_bytes);
            prop_assert!(!name.is_empty() && name.len() <= max_bytes.max(16), "{name:?}");
            let parts: Vec<_> = Path::new(&name).components().collect();
            prop_assert!(matches!(&parts[..], [Component::Normal(part)] if part.to_str() == Some(&*name)), "{name:?}");
            prop_assert!(!name.starts_with('.') && !name.ends_with(['.', ' ']), "{name:?}");
            prop_assert!(!name.contains(|c: char| c.is_control() || "<>:\"/\\|?*".contains(c)), "{name:?}");
            prop_assert!(!is_reserved(&name), "{name:?}");
            prop_assert_eq!(safe_name_within(&name, max_bytes), name.clone());
        }
    }
}
