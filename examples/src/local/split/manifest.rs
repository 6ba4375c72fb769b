//! The manifest of a folder with stems: which songs they come from and how they were made. By it, a later run recognises its own
//! output and finds the folder of a song again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vocalizer_core::song::SongHash;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "vocalizer.json";

/// Value of `program`, by which a manifest is recognised.
const PROGRAM: &str = "vocalizer";

/// Version of the file's format.
const FORMAT: u32 = 1;

/// The largest manifest that is read. One of a folder for thousands of songs has a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    program: String,
    format: u32,
    /// Whether other files than those listed may be songs: the folder was not made for a single song.
    #[serde(default)]
    pub(super) shared: bool,
    pub(super) songs: Vec<SongEntry>,
    /// Whether a later version wrote it, so that its songs are not known.
    #[serde(skip)]
    pub(super) is_later: bool,
}

/// The results of one song.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SongEntry {
    pub(super) source: Source,
    /// Path of the stems below the manifest's folder, with `{stem}` and `{ext}`.
    pub(super) pattern: String,
    /// One result per set of options. Empty while the song is being split.
    pub(super) results: Vec<SplitResult>,
}

/// The file that was split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) name: String,
    /// The name's bytes in hexadecimal, if the name is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name_bytes: Option<String>,
    pub(super) size_bytes: u64,
    pub(super) sha256: SongHash,
    /// Numbers of the file system that change with the file. While they are the same, the file is not hashed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stamp: Option<String>,
}

/// One result of a song.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SplitResult {
    /// Version of this program.
    pub(super) version: String,
    pub(super) model: ModelId,
    /// The options that change the result.
    pub(super) options: BTreeMap<String, Value>,
    pub(super) rate_hz: u32,
    pub(super) frames: u64,
    /// The gain that all stems have in common.
    pub(super) gain: f64,
    /// The gains of the stems, if they differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) gains: BTreeMap<String, f64>,
    pub(super) warnings: Vec<Warning>,
    pub(super) files: Vec<FileEntry>,
}

/// The model that made a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelId {
    pub(crate) name: String,
    /// SHA-256 of each weights file.
    pub(super) weights_sha256: Vec<String>,
}

/// A warning about the song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Warning {
    pub(super) code: String,
    pub(super) message: String,
}

/// A stem's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    /// Path below the manifest's folder, separated by `/`.
    pub(super) path: String,
    pub(super) size_bytes: u64,
}

impl FileEntry {
    /// Returns the path in this folder; `None` for one that leads out of it, which this program never writes.
    pub(super) fn path_in(&self, folder: &Path) -> Option<PathBuf> {
        let path = Path::new(&self.path);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        (is_plain && !self.path.is_empty() && !self.path.contains('\\')).then(|| folder.join(path))
    }
}

impl Manifest {
    pub(super) fn new(shared: bool) -> Self {
        Self { program: PROGRAM.to_owned(), format: FORMAT, shared, songs: Vec::new(), is_later: false }
    }

    /// Reads the manifest of a folder. `None` if there is none, or if the file is not a manifest of this program.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(FILE_NAME);
        // Opening a pipe would wait for a writer.
        if !std::fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES) {
            return None;
        }
        let mut text = String::new();
        File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        if let Ok(manifest) = serde_json::from_str::<Self>(&text) {
            return (manifest.program == PROGRAM && manifest.format == FORMAT).then_some(manifest);
        }
        // A later version's manifest still marks its folder as output.
        let later: Head = serde_json::from_str(&text).ok()?;
        (later.program == PROGRAM && later.format > FORMAT).then(|| Self { is_later: true, ..Self::new(later.shared) })
    }

    /// Writes the manifest in one step, replacing an older one. With `is_new`, an existing one is an error.
    pub(super) fn write(&self, folder: &Path, is_new: bool) -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".vocalizer-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(folder)?;
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        text.push(b'\n');
        file.write_all(&text)?;
        // As the stems are: after a power failure, a folder without a manifest would be taken for a foreign one.
        file.as_file().sync_all()?;
        let path = folder.join(FILE_NAME);
        if is_new {
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(()),
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Err(e.error),
                // Some file systems cannot do it in one step.
                Err(e) => file = e.file,
            }
        }
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    }

    /// Returns the entry of the song whose stems have these paths.
    pub(super) fn entry(&self, pattern: &str) -> Option<&SongEntry> {
        self.songs.iter().find(|entry| entry.pattern == pattern)
    }

    /// Returns whether a song has such a pattern, as file systems see it that do not tell upper from lower case.
    pub(super) fn has_like(&self, pattern: &str) -> bool {
        let pattern = pattern.to_lowercase();
        self.songs.iter().any(|entry| entry.pattern.to_lowercase() == pattern)
    }

    /// Returns the listed files.
    pub(super) fn files(&self) -> impl Iterator<Item = (&SongEntry, &FileEntry)> {
        self.songs.iter().flat_map(|entry| {
            entry.results.iter().flat_map(move |result| result.files.iter().map(move |file| (entry, file)))
        })
    }
}

/// What every version's manifest has.
#[derive(Deserialize)]
struct Head {
    program: String,
    format: u32,
    #[serde(default)]
    shared: bool,
}

impl SongEntry {
    /// Adds a result. It replaces the result with the same options and those whose files it has overwritten.
    pub(super) fn add(&mut self, result: SplitResult) {
        let is_overwritten =
            |old: &SplitResult| old.files.iter().any(|old| result.files.iter().any(|new| new.path == old.path));
        self.results.retain(|old| !is_overwritten(old) && !old.is_like(&result.model, &result.options));
        self.results.push(result);
    }
}

impl SplitResult {
    pub(super) fn is_like(&self, model: &ModelId, options: &BTreeMap<String, Value>) -> bool {
        self.model == *model && self.options == *options
    }

    /// Returns whether the song was damaged.
    pub(super) fn is_of_damaged_song(&self) -> bool {
        self.warnings.iter().any(|warning| matches!(&*warning.code, "ends_early" | "damaged" | "wrong_checksum"))
    }

    /// Returns whether all files are there as they were written.
    pub(super) fn is_complete(&self, folder: &Path) -> bool {
        let is_there = |file: &FileEntry| {
            let meta = file.path_in(folder).and_then(|path| std::fs::metadata(path).ok());
            meta.is_some_and(|meta| meta.is_file() && meta.len() == file.size_bytes)
        };
        !self.files.is_empty() && self.files.iter().all(is_there)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use vocalizer_core::song::SongHash;

    use super::{FILE_NAME, FileEntry, Manifest, ModelId, SongEntry, Source, SplitResult};

    fn result(shifts: u32, files: &[&str]) -> SplitResult {
        SplitResult {
            version: "0.1.0".into(),
            model: ModelId { name: "tiny".into(), weights_sha256: vec!["00".into()] },
            options: [("shifts".to_owned(), json!(shifts))].into(),
            rate_hz: 44_100,
            frames: 10,
            gain: 0.663_123,
            gains: [].into(),
            warnings: vec![],
            files: files.iter().map(|path| FileEntry { path: (*path).to_owned(), size_bytes: 3 }).collect(),
        }
    }

    fn manifest(results: Vec<SplitResult>) -> Manifest {
        let mut manifest = Manifest::new(false);
        let source = Source {
            name: "a.wav".into(),
            name_bytes: None,
            size_bytes: 3,
            sha256: SongHash::of(b"abc"),
            stamp: Some("1:2".into()),
        };
        manifest.songs.push(SongEntry { source, pattern: "{stem}.{ext}".into(), results });
        manifest
    }

    #[test]
    fn manifest_survives_writing_and_reading() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()), None);
        let manifest = manifest(vec![result(0, &["vocals.wav"])]);
        manifest.write(folder.path(), true).unwrap();
        assert_eq!(Manifest::read(folder.path()), Some(manifest.clone()));
        let again = manifest.write(folder.path(), true).unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        manifest.write(folder.path(), false).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn other_files_of_the_name_are_no_manifests() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            r#"{"program": "other", "format": 1, "songs": []}"#,
            r#"{"program": "vocalizer", "format": 1}"#,
        ] {
            std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
            assert_eq!(Manifest::read(folder.path()), None, "{text}");
        }
        std::fs::write(folder.path().join(FILE_NAME), r#"{"program": "vocalizer", "format": 2, "tracks": {}}"#)
            .unwrap();
        let later = Manifest { is_later: true, ..Manifest::new(false) };
        assert_eq!(Manifest::read(folder.path()), Some(later), "a later version");
        std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
        std::fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
        assert_eq!(Manifest::read(folder.path()), None);
    }

    #[test]
    fn new_result_replaces_those_it_overwrites() {
        let mut entry = manifest(vec![]).songs.remove(0);
        entry.add(result(0, &["vocals.wav", "drums.wav"]));
        entry.add(result(1, &["vocals.flac"]));
        assert_eq!(entry.results.len(), 2);
        entry.add(result(1, &["vocals.mp3"]));
        assert_eq!(entry.results.len(), 2, "the same options");
        entry.add(result(2, &["drums.wav"]));
        let left: Vec<_> = entry.results.iter().map(|result| &result.files[0].path).collect();
        assert_eq!(left, ["vocals.mp3", "drums.wav"]);
    }

    #[test]
    fn result_is_complete_if_its_files_have_their_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let result = result(0, &["vocals.wav"]);
        assert!(!result.is_complete(folder.path()));
        std::fs::write(folder.path().join("vocals.wav"), "abc").unwrap();
        assert!(result.is_complete(folder.path()));
        std::fs::write(folder.path().join("vocals.wav"), "ab").unwrap();
        assert!(!result.is_complete(folder.path()));
    }

    #[test]
    fn listed_files_never_lead_out_of_the_folder() {
        for path in ["../vocals.wav", "/etc/passwd", "a/../../b", "..", "", "a\\b"] {
            let file = FileEntry { path: path.into(), size_bytes: 0 };
            assert_eq!(file.path_in(Path::new("out")), None, "{path}");
        }
        let file = FileEntry { path: "vocals/song.wav".into(), size_bytes: 0 };
        assert_eq!(file.path_in(Path::new("out")), Some("out/vocals/song.wav".into()));
    }
}
