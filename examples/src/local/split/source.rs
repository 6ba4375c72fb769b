//! The identity of a song's file: its size, its hash, and numbers that show without reading whether it has changed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tempfile::TempPath;
use vocalizer_core::song::{SongHash, SongHasher};

use super::manifest::Source;
use crate::paths::bytes_if_not_utf8;

/// A song to split.
#[derive(Debug)]
pub(super) struct Song {
    /// The path as given, for messages.
    pub(super) input: PathBuf,
    /// The file with the audio: `input`, or a temporary copy of a pipe.
    pub(super) file: PathBuf,
    /// The name from which the folder's name is made.
    pub(super) name: PathBuf,
    /// Removes the temporary copy.
    pub(super) copy: Option<TempPath>,
}

impl Song {
    pub(super) fn new(file: PathBuf) -> Self {
        let name = PathBuf::from(file.file_name().unwrap_or(file.as_os_str()));
        Self { input: file.clone(), file, name, copy: None }
    }
}

/// Returns what identifies the file of a song. `known` returns the hash of a file with this stamp and size.
pub(super) fn identify(song: &Song, known: impl Fn(&str, u64) -> Option<SongHash>) -> io::Result<Source> {
    let meta = std::fs::metadata(&song.file)?;
    let stamp = stamp(&meta);
    let cached = stamp.as_deref().and_then(|stamp| known(stamp, meta.len()));
    let sha256 = match cached {
        Some(hash) => hash,
        None => hash_file(&song.file)?,
    };
    Ok(Source {
        name: song.name.to_string_lossy().into_owned(),
        name_bytes: bytes_if_not_utf8(&song.name),
        size_bytes: meta.len(),
        sha256,
        stamp,
    })
}

/// Hashes a file.
pub(super) fn hash_file(file: &Path) -> io::Result<SongHash> {
    let mut hasher = SongHasher::new();
    let mut reader = File::open(file)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Returns numbers that differ between two files and change when one is written. On Unix this includes the time of the last change of
/// the file's entry, which no program can set.
pub(super) fn stamp(meta: &Metadata) -> Option<String> {
    let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let changed = i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec());
        Some(format!("{}:{}:{modified}:{changed}", meta.dev(), meta.ino()))
    }
    #[cfg(not(unix))]
    {
        let created = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        Some(format!("{modified}:{created}"))
    }
}

#[cfg(test)]
mod tests {
    use vocalizer_core::song::SongHash;

    use super::{Song, identify};

    #[test]
    fn known_stamp_saves_hashing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wav");
        std::fs::write(&file, "abc").unwrap();
        let song = Song::new(file.clone());
        let source = identify(&song, |_, _| None).unwrap();
        assert_eq!((source.size_bytes, source.sha256), (3, SongHash::of(b"abc")));
        let other = SongHash::of(b"from the manifest");
        let stamp = source.stamp.clone().unwrap();
        let cached = identify(&song, |known, bytes| (known == stamp && bytes == 3).then_some(other)).unwrap();
        assert_eq!(cached.sha256, other);
        // Same size and same time of modification, other content.
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "xyz").unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        #[cfg(unix)]
        assert_eq!(identify(&song, |known, _| (known == stamp).then_some(other)).unwrap().sha256, SongHash::of(b"xyz"));
    }
}
