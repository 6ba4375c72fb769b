//! What earlier runs wrote, by the manifests in their folders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;

/// Manifests that were looked at. All paths are canonical.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Folders, and whether all that is in them is output.
    folders: HashMap<PathBuf, bool>,
    /// Listed files, and the names of their songs.
    files: HashMap<PathBuf, String>,
}

impl Earlier {
    /// Returns whether a folder was made for the stems of a song. Notes the files that its manifest lists.
    pub(super) fn is_output(&mut self, folder: &Path) -> bool {
        if let Some(&known) = self.folders.get(folder) {
            return known;
        }
        let manifest = Manifest::read(folder);
        for (entry, file) in manifest.iter().flat_map(Manifest::files) {
            if let Some(path) = file.path_in(folder) {
                self.files.insert(path, entry.source.name.clone());
            }
        }
        let is_output = manifest.is_some_and(|manifest| !manifest.shared);
        self.folders.insert(folder.to_owned(), is_output);
        is_output
    }

    /// Returns whether a folder is one for the stems of a song, or is in one.
    pub(super) fn is_in_output(&mut self, folder: &Path) -> bool {
        // Looks at all of them, because shared folders list files.
        folder.ancestors().filter(|folder| self.is_output(folder)).count() > 0
    }

    /// Returns the name of the song that a file was made from, if a manifest in a folder that was looked at lists the file.
    pub(super) fn song_of(&self, file: &Path) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }
}
