//! Input files and their output folders.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Extensions to look for in folders; a file given directly may have any extension.
const ENDINGS: [&str; 16] = [
    "mp3", "flac", "wav", "wave", "aif", "aiff", "aifc", "ogg", "oga", "opus", "m4a", "mp4", "aac", "alac", "mka",
    "webm",
];

/// One song to split.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) file: PathBuf,
    pub(super) out_dir: PathBuf,
}

/// An input without audio files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnInput {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

/// Returns all songs of the inputs in order, searching folders recursively, and the inputs without any.
pub(super) fn collect(inputs: &[PathBuf], out: &Path) -> (Vec<Input>, Vec<NotAnInput>) {
    let (mut files, mut bad) = (Vec::new(), Vec::new());
    for input in inputs {
        if !input.is_dir() {
            files.push(input.clone());
            continue;
        }
        let mut found = Vec::new();
        match search(input, out, &mut found) {
            Ok(()) if found.is_empty() => {
                bad.push(NotAnInput { path: input.clone(), why: "no audio files in this folder".into() });
            }
            Ok(()) => files.append(&mut found),
            Err(e) => bad.push(NotAnInput { path: input.clone(), why: e.to_string() }),
        }
    }
    let mut taken = HashSet::new();
    let inputs = files
        .into_iter()
        .map(|file| {
            let out_dir = out.join(free_name(&file, &mut taken));
            Input { file, out_dir }
        })
        .collect();
    (inputs, bad)
}

/// Returns an unused folder name, so that songs with the same name do not share a folder.
fn free_name(file: &Path, taken: &mut HashSet<OsString>) -> OsString {
    let stem = file.file_stem().unwrap_or(file.as_os_str()).to_owned();
    let mut name = stem.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = stem.clone();
        name.push(format!(" ({count})"));
    }
    name
}

fn search(dir: &Path, out: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Follow links to files but not to folders, which may form a loop. Skip the output folder.
        if entry.file_type()?.is_dir() {
            if path != out {
                search(&path, out, found)?;
            }
        } else if path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending))) {
            found.push(path);
        }
    }
    Ok(())
}
