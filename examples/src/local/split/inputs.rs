//! Songs to split: files that were named, and those that are found in folders.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

use super::earlier::Earlier;
use super::manifest::{FILE_NAME, Manifest};
use super::source::Song;
use crate::paths::shown;

/// Extensions to look for in folders; a file given directly may have any extension.
const ENDINGS: [&str; 20] = [
    "mp3", "flac", "wav", "wave", "w64", "rf64", "aif", "aiff", "aifc", "au", "caf", "ogg", "oga", "opus", "m4a",
    "mp4", "aac", "alac", "mka", "webm",
];

/// Folders of systems and devices, which hold no songs.
const SYSTEM_FOLDERS: [&str; 6] =
    ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"];

/// An input without audio files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnInput {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

/// What the inputs contain.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) songs: Vec<Song>,
    pub(super) bad: Vec<NotAnInput>,
    /// Inputs that were passed over for a good reason.
    pub(super) remarks: Vec<String>,
}

/// Returns all songs of the inputs in order, searching folders recursively, each file once. Leaves out what earlier runs wrote.
/// `spool` makes a song of standard input (`-`) or of a pipe.
pub(super) fn collect(inputs: &[PathBuf], out: &Path, mut spool: impl FnMut(&Path) -> io::Result<Song>) -> Found {
    let mut search = Search::new(out);
    let mut found = Found::default();
    let mut pipes = HashSet::new();
    for input in inputs {
        if is_pipe(input) {
            let read = match pipes.insert(pipe_name(input)) {
                true => spool(input).map_err(|e| e.to_string()),
                false => Err("it can be read only once; name it once".to_owned()),
            };
            match read {
                Ok(song) => found.songs.push(song),
                Err(why) => found.bad.push(NotAnInput { path: input.clone(), why }),
            }
        } else if input.is_dir() {
            let before = found.songs.len();
            search.passed_over = false;
            search.folder(input, true, &mut found);
            let has_error = found.bad.iter().any(|bad| bad.path.starts_with(input));
            if found.songs.len() == before && !has_error && !search.has_seen_songs {
                let why = match search.passed_over {
                    true => "only stems that an earlier run wrote; name a file to split it again",
                    false => "no audio files in this folder",
                };
                if search.passed_over && inputs.len() > 1 {
                    found.remarks.push(format!("{}: {why}", shown(input)));
                } else {
                    found.bad.push(NotAnInput { path: input.clone(), why: why.into() });
                }
            }
        } else if is_manifest(input) {
            // Matched by a pattern such as `*`.
        } else if std::fs::metadata(input).is_ok_and(|meta| !meta.is_file()) {
            // Reading a device such as `/dev/zero` would never end.
            found
                .bad
                .push(NotAnInput { path: input.clone(), why: "a device or a socket; name a file or a folder".into() });
        } else if search.is_new(input) {
            found.songs.push(Song::new(input.clone()));
        }
        search.has_seen_songs = false;
    }
    leave_out_stems(&mut found, &mut search.earlier);
    found
}

/// Leaves out named files that are stems of other named songs: a pattern such as `*.wav` matches both.
fn leave_out_stems(found: &mut Found, earlier: &mut Earlier) {
    let names: HashSet<_> = found.songs.iter().map(|song| song.name.to_string_lossy().into_owned()).collect();
    found.songs.retain(|song| {
        let Ok(real) = song.file.canonicalize() else { return true };
        if let Some(folder) = real.parent() {
            earlier.is_in_output(folder);
        }
        let Some(of) = earlier.song_of(&real).filter(|of| names.contains(*of)) else { return true };
        found.remarks.push(format!("{}: a stem of {}, left out", shown(&song.input), crate::paths::plain(of)));
        false
    });
}

/// Returns whether a file is the manifest of an earlier run.
fn is_manifest(file: &Path) -> bool {
    let has_name = file.file_name().is_some_and(|name| name == FILE_NAME);
    has_name
        && file.canonicalize().is_ok_and(|real| real.parent().is_some_and(|folder| Manifest::read(folder).is_some()))
}

/// Returns whether a path has no length that could be known: standard input, or a pipe such as `<(command)`.
fn is_pipe(path: &Path) -> bool {
    if path.as_os_str() == "-" {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    false
}

/// Returns what is the same for a pipe that is named twice.
fn pipe_name(path: &Path) -> PathBuf {
    let real = if path.as_os_str() == "-" { None } else { path.canonicalize().ok() };
    real.unwrap_or_else(|| path.to_owned())
}

/// Returns all songs in a folder, as `separate` finds them, and the errors of reading it.
pub(super) fn in_folder(folder: &Path, out: &Path) -> Found {
    let mut found = Found::default();
    Search::new(out).folder(folder, true, &mut found);
    found
}

struct Search {
    /// The output folder, if it exists.
    out: Option<PathBuf>,
    earlier: Earlier,
    /// Canonical paths of the songs so far.
    seen: HashSet<PathBuf>,
    /// Whether output was left out.
    passed_over: bool,
    /// Whether songs were found that an earlier input contains, too.
    has_seen_songs: bool,
}

impl Search {
    fn new(out: &Path) -> Self {
        let (earlier, seen) = (Earlier::default(), HashSet::new());
        Self { out: out.canonicalize().ok(), earlier, seen, passed_over: false, has_seen_songs: false }
    }

    /// Returns whether a file was not found before. A file that cannot be reached counts as new: its error is reported later.
    fn is_new(&mut self, file: &Path) -> bool {
        file.canonicalize().map_or(true, |real| self.seen.insert(real))
    }

    fn folder(&mut self, folder: &Path, is_root: bool, found: &mut Found) {
        let sorted = folder.canonicalize().and_then(|real| {
            let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            Ok((real, entries))
        });
        let (real, entries) = match sorted {
            Ok(sorted) => sorted,
            Err(e) => {
                found.bad.push(NotAnInput { path: folder.to_owned(), why: e.to_string() });
                return;
            }
        };
        let is_output = if is_root {
            self.earlier.is_in_output(&real)
        } else {
            // Recognised by identity: the same folder has many spellings.
            self.out.as_ref() == Some(&real) || self.earlier.is_output(&real)
        };
        if is_output {
            self.passed_over = true;
            return;
        }
        for entry in entries {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if is_dropping(&entry.file_name(), kind) || is_hidden_by_system(&entry) {
                continue;
            }
            // Follow links to files but not to folders, which may form a loop.
            if kind.is_dir() {
                self.folder(&path, false, found);
            } else if has_audio_ending(&path) && std::fs::metadata(&path).map_or(true, |meta| meta.is_file()) {
                if self.is_output_file(&path, kind) {
                    self.passed_over = true;
                } else if self.is_new(&path) {
                    found.songs.push(Song::new(path));
                } else {
                    self.has_seen_songs = true;
                }
            }
        }
    }

    /// Returns whether an earlier run wrote this file, or the file that a link points to.
    fn is_output_file(&mut self, file: &Path, kind: FileType) -> bool {
        let Ok(real) = file.canonicalize() else { return false };
        let is_linked = kind.is_symlink() && real.parent().is_some_and(|folder| self.earlier.is_in_output(folder));
        is_linked || self.earlier.song_of(&real).is_some()
    }
}

fn has_audio_ending(path: &Path) -> bool {
    path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}

/// Returns whether a hidden file or folder has this name, or one that a system leaves behind, such as `._song.wav`.
fn is_dropping(name: &OsStr, kind: FileType) -> bool {
    let is_system_folder = || SYSTEM_FOLDERS.iter().any(|folder| name.eq_ignore_ascii_case(folder));
    let bytes = name.as_encoded_bytes();
    // Songs have names such as `...Baby.mp3`; hidden files start with a single dot.
    let is_hidden = bytes.starts_with(b".") && !bytes.starts_with(b"..");
    is_hidden || (kind.is_dir() && is_system_folder())
}

#[cfg(windows)]
fn is_hidden_by_system(entry: &std::fs::DirEntry) -> bool {
    use std::os::windows::fs::MetadataExt as _;
    const HIDDEN: u32 = 2;
    entry.metadata().is_ok_and(|meta| meta.file_attributes() & HIDDEN != 0)
}

#[cfg(not(windows))]
fn is_hidden_by_system(_: &std::fs::DirEntry) -> bool {
    false
}

/// Returns whether a folder has nothing in it that a user would miss.
pub(super) fn is_empty_folder(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.all(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let is_of_run = name.as_encoded_bytes().starts_with(b".vocalizer");
                is_of_run || matches!(name.to_str(), Some(".DS_Store" | "Thumbs.db" | "desktop.ini"))
            })
        })
    })
}
