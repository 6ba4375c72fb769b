//! Paths in JSON, without loss, and on a terminal, without control characters.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

/// Adds a path under `key`. If it is not UTF-8, its bytes follow in hexadecimal under `key` with `_bytes`.
pub(crate) fn put(object: &mut Map<String, Value>, key: &str, path: &Path) {
    object.insert(key.to_owned(), path.to_string_lossy().into());
    if let Some(bytes) = bytes_if_not_utf8(path) {
        object.insert(format!("{key}_bytes"), bytes.into());
    }
}

/// Adds a list of paths under `key`. If any is not UTF-8, a list of the bytes of all follows under `key` with `_bytes`.
#[cfg(feature = "separate")]
pub(crate) fn put_all<'a>(object: &mut Map<String, Value>, key: &str, paths: impl Iterator<Item = &'a Path> + Clone) {
    if paths.clone().any(|path| path.to_str().is_none()) {
        object.insert(format!("{key}_bytes"), paths.clone().map(hex).collect());
    }
    object.insert(key.to_owned(), paths.map(Path::to_string_lossy).collect());
}

/// Returns the bytes of a path in hexadecimal if the path is not UTF-8.
pub(crate) fn bytes_if_not_utf8(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| hex(path))
}

fn hex(path: &Path) -> String {
    path.as_os_str().as_encoded_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns a path for a message: control characters would break the line or change the terminal.
pub(crate) fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// Replaces control characters and those that reverse a line.
pub(crate) fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Map, json};

    use super::{put, shown};

    #[test]
    fn paths_in_json() {
        let mut object = Map::new();
        put(&mut object, "file", Path::new("Ёлка.wav"));
        assert_eq!(object, *json!({"file": "Ёлка.wav"}).as_object().unwrap());
        assert_eq!(shown(Path::new("a\x1b[2J\nb")), "a\u{fffd}[2J\u{fffd}b");
    }

    #[cfg(all(unix, feature = "separate"))]
    #[test]
    fn bytes_of_paths_that_are_not_utf8() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let path = Path::new(OsStr::from_bytes(b"a\xff"));
        let mut object = Map::new();
        put(&mut object, "file", path);
        super::put_all(&mut object, "files", [Path::new("b"), path].into_iter());
        let expected = json!({"file": "a\u{fffd}", "file_bytes": "61ff", "files": ["b", "a\u{fffd}"], "files_bytes": ["62", "61ff"]});
        assert_eq!(object, *expected.as_object().unwrap());
    }
}
