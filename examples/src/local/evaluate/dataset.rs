//! Songs with their true stems, and folders of estimated stems.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use vocalizer_core::song::SongHash;
use vocalizer_model::Stem;

use super::args::Subset;
use crate::paths::shown;

/// Endings of stems. If a stem is there twice, the first counts.
const ENDINGS: [&str; 7] = ["wav", "flac", "aiff", "m4a", "mp3", "ogg", "opus"];

/// Ending of a file with the mixture and the stems as tracks.
const STEM_FILE: &str = ".stem.mp4";

/// The stems in such a file. The mixture is track 1, so they begin with track 2.
const STEM_TRACKS: [(u32, Stem); 4] = [(2, Stem::DRUMS), (3, Stem::BASS), (4, Stem::OTHER), (5, Stem::VOCALS)];

/// An audio file, or one of its tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) track: Option<u32>,
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.path))?;
        self.track.map_or(Ok(()), |track| write!(f, " (track {track})"))
    }
}

/// Recordings of stems.
pub(super) type Recordings = BTreeMap<Stem, Recording>;

/// A song with its true stems.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// The path below the data set's folder, without an ending and with `/`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) mixture: Recording,
    pub(super) stems: Recordings,
}

impl Track {
    /// Returns a text that changes with the song's files. `None` if one of them is missing.
    pub(super) fn state(&self) -> Option<String> {
        let mut state = String::new();
        for Recording { path, track } in std::iter::once(&self.mixture).chain(self.stems.values()) {
            let meta = std::fs::metadata(path).ok()?;
            let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let _ = writeln!(state, "{name} {track:?} {} {modified}", meta.len());
        }
        Some(SongHash::of(state.as_bytes()).to_string())
    }
}

/// Returns the songs of a data set, sorted by name.
///
/// # Errors
///
/// A text that states the problem and the remedy, if a folder cannot be read or there are no songs.
pub(super) fn tracks(dir: &Path, subset: Option<Subset>) -> Result<Vec<Track>, String> {
    let folders: &[&str] = match subset {
        Some(Subset::All) => &["test", "train"],
        Some(Subset::Train) => &["train"],
        Some(Subset::Test) => &["test"],
        None if dir.join("test").is_dir() => &["test"],
        None => &[""],
    };
    let mut found: Vec<Track> = Vec::new();
    for folder in folders {
        let parent = if folder.is_empty() { dir.to_owned() } else { dir.join(folder) };
        for path in listing(&parent)? {
            let Some(mut track) = track(&path)? else { continue };
            if !folder.is_empty() {
                track.name = format!("{folder}/{}", track.name);
            }
            // A song may be there in both forms.
            if !found.iter().any(|other| other.name == track.name) {
                found.push(track);
            }
        }
    }
    if found.is_empty() {
        return Err(format!(
            "no songs in {}: expected folders with mixture.wav and the true stems (vocals.wav, drums.wav and so on), or files that end in {STEM_FILE}",
            shown(dir),
        ));
    }
    Ok(found)
}

/// Returns the song in a folder or file, if there is one.
fn track(path: &Path) -> Result<Option<Track>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if path.is_dir() {
        let (mixture, stems) = recordings(path)?;
        if mixture.is_none() && stems.is_empty() {
            return Ok(None);
        }
        let mixture = mixture.unwrap_or_else(|| Recording { path: path.join("mixture.wav"), track: None });
        return Ok(Some(Track { name, path: path.to_owned(), mixture, stems }));
    }
    let Some(name) = name.strip_suffix(STEM_FILE) else { return Ok(None) };
    let recording = |track| Recording { path: path.to_owned(), track: Some(track) };
    let stems = STEM_TRACKS.map(|(track, stem)| (stem, recording(track))).into();
    Ok(Some(Track { name: name.to_owned(), path: path.to_owned(), mixture: recording(1), stems }))
}

/// Returns the estimated stems of a song: those in the folder of the song's name.
///
/// # Errors
///
/// A text that states the problem, if there is no such folder or it cannot be read.
pub(super) fn estimates(dir: &Path, track: &str) -> Result<Recordings, String> {
    let whole = dir.join(track);
    let last = dir.join(track.rsplit('/').next().unwrap_or(track));
    match [&whole, &last].into_iter().find(|folder| folder.is_dir()) {
        Some(folder) => Ok(recordings(folder)?.1),
        None => Err(format!("there are no estimates: expected the folder {}", shown(&last))),
    }
}

/// Returns the mixture and the stems in a folder.
fn recordings(folder: &Path) -> Result<(Option<Recording>, Recordings), String> {
    let (mut mixture, mut stems) = (None, Recordings::new());
    let paths = listing(folder)?;
    for ending in ENDINGS {
        for path in &paths {
            if path.extension().is_none_or(|found| !found.eq_ignore_ascii_case(ending)) {
                continue;
            }
            let recording = Recording { path: path.clone(), track: None };
            match path.file_stem().and_then(|name| name.to_str()).unwrap_or_default() {
                "mixture" => _ = mixture.get_or_insert(recording),
                name => {
                    if let Some(stem) = stem_of(name) {
                        stems.entry(stem).or_insert(recording);
                    }
                }
            }
        }
    }
    Ok((mixture, stems))
}

/// Returns the stem with this file name.
fn stem_of(name: &str) -> Option<Stem> {
    match name {
        // As museval and Demucs call it.
        "accompaniment" | "no_vocals" => Some(Stem::INSTRUMENTAL),
        // The sum of the stems, in MUSDB18.
        "linear_mixture" => None,
        _ if name.starts_with("no_") || name.starts_with("minus_") => None,
        _ => name.parse().ok(),
    }
}

/// Returns the visible entries of a folder, sorted.
fn listing(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(|e| format!("cannot read the folder {}: {e}", shown(folder)))?;
    let is_visible = |entry: &std::fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut paths: Vec<_> = entries.iter().filter(|entry| is_visible(entry)).map(std::fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vocalizer_model::Stem;

    use super::{Subset, estimates, tracks};

    fn put(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
    }

    fn names(folder: &Path, subset: Option<Subset>) -> Vec<String> {
        tracks(folder, subset).unwrap().into_iter().map(|track| track.name).collect()
    }

    #[test]
    fn songs_are_folders_and_stem_files() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            &["B/mixture.wav", "B/vocals.wav", "A.stem.mp4", "B.stem.mp4", ".C/mixture.wav", "D/notes.txt", "E.mp4"],
        );
        let found = tracks(dir.path(), None).unwrap();
        assert_eq!(found.iter().map(|track| &*track.name).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!((found[0].mixture.track, found[0].stems[&Stem::VOCALS].track), (Some(1), Some(5)));
        assert_eq!(found[1].mixture.path, dir.path().join("B/mixture.wav"));
        assert_eq!(found[1].stems.keys().collect::<Vec<_>>(), [&Stem::VOCALS]);
    }

    #[test]
    fn test_is_the_default_subset() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &["train/A/mixture.wav", "test/B/mixture.wav", "test/C/vocals.wav"]);
        assert_eq!(names(dir.path(), None), ["test/B", "test/C"]);
        assert_eq!(names(dir.path(), Some(Subset::Train)), ["train/A"]);
        assert_eq!(names(dir.path(), Some(Subset::All)), ["test/B", "test/C", "train/A"]);
    }

    #[test]
    fn missing_songs_and_folders_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let error = tracks(dir.path(), None).unwrap_err();
        assert!(error.contains("no songs in ") && error.contains("mixture.wav"), "{error}");
        let error = tracks(dir.path(), Some(Subset::Test)).unwrap_err();
        assert!(error.contains("cannot read the folder ") && error.contains("test"), "{error}");
    }

    #[test]
    fn estimates_are_found_with_and_without_the_subset() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            &["test/A/vocals.mp3", "test/A/vocals.wav", "B/drums.flac", "B/no_vocals.wav", "B/minus_bass.wav"],
        );
        let a = estimates(dir.path(), "test/A").unwrap();
        assert_eq!(a[&Stem::VOCALS].path, dir.path().join("test/A/vocals.wav"));
        let b = estimates(dir.path(), "test/B").unwrap();
        assert_eq!(b.keys().collect::<Vec<_>>(), [&Stem::DRUMS, &Stem::INSTRUMENTAL]);
        assert!(estimates(dir.path(), "test/C").unwrap_err().contains("expected the folder"));
    }

    #[test]
    fn state_changes_with_the_files() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &["A/mixture.wav", "A/vocals.wav"]);
        let state = || tracks(dir.path(), None).unwrap()[0].state();
        let before = state().unwrap();
        assert_eq!(state().as_ref(), Some(&before));
        std::fs::write(dir.path().join("A/vocals.wav"), "longer").unwrap();
        assert_ne!(state().unwrap(), before);
        std::fs::remove_file(dir.path().join("A/mixture.wav")).unwrap();
        assert_eq!(state(), None);
    }
}
