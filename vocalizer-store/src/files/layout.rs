//! Paths in the folder.

use std::path::{Path, PathBuf};

use vocalizer_core::ports::BlobKey;
use vocalizer_core::song::SongHash;

/// The file with the owner's installation ID.
pub(super) const INSTALLATION: &str = "installation";

/// Returns the path of a blob.
pub(super) fn path(root: &Path, key: &BlobKey) -> PathBuf {
    shard(root, key.hash()).join(key.to_string())
}

/// Returns the parent folder of a hash's folder. Hashes are spread over 256 folders to keep each small.
pub(super) fn shard(root: &Path, hash: &SongHash) -> PathBuf {
    root.join(format!("{:.2}", hash.to_string()))
}
