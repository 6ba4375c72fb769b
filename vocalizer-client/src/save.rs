//! Downloads into memory and files.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use vocalizer_api::id::SongId;
use vocalizer_api::part::{Format, Part, Stem};

use crate::{Client, Download, Error, SongFile};

impl Client {
    /// Downloads a file into memory, at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::into_bytes`].
    pub async fn download_bytes(&self, id: SongId, file: impl Into<SongFile>, max_bytes: u64) -> Result<Bytes, Error> {
        self.download(id, file).await?.into_bytes(max_bytes).await
    }

    /// Downloads a file to `path`, replacing an existing file.
    ///
    /// The replacement is atomic: the bytes go to a file with the suffix `.part` first. If the file changes on the
    /// server meanwhile, the download restarts once.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::next_chunk`]; [`Error::File`] if the file cannot be written.
    pub async fn download_to(
        &self,
        id: SongId,
        file: impl Into<SongFile>,
        path: impl AsRef<Path>,
    ) -> Result<(), Error> {
        let (file, path) = (file.into(), path.as_ref());
        match save(self.download(id, file).await?, path).await {
            Err(Error::Changed) => save(self.download(id, file).await?, path).await,
            saved => saved,
        }
    }

    /// Downloads the four stems of a song into a folder and returns their paths. Creates the folder if necessary.
    ///
    /// The names come from [`SongFile::name`], `Title (vocals).mp3` and so on. Existing files are replaced.
    ///
    /// # Errors
    ///
    /// Those of [`Client::song`] and [`Client::download_to`]; already downloaded stems stay.
    pub async fn download_stems(
        &self,
        id: SongId,
        format: Format,
        folder: impl AsRef<Path>,
    ) -> Result<Vec<PathBuf>, Error> {
        let folder = folder.as_ref();
        let title = self.song(id).await?.title;
        fs::create_dir_all(folder).await.map_err(|source| Error::File { path: folder.to_owned(), source })?;
        let mut paths = Vec::new();
        for part in Stem::FOUR.into_iter().filter_map(|stem| Part::try_from(stem).ok()) {
            let file = SongFile::from((part, format));
            let path = folder.join(file.name(&title));
            self.download_to(id, file, &path).await?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// Writes the download to a file atomically. On an error, an existing file stays unchanged.
async fn save(mut download: Download, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let unfinished = Unfinished::beside(path).map_err(failed)?;
    let mut file = File::create(&unfinished.0).await.map_err(failed)?;
    while let Some(chunk) = download.next_chunk().await? {
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    drop(file);
    fs::rename(&unfinished.0, path).await.map_err(failed)
}

/// A temporary file that is removed on drop, unless it was renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut name = name.to_owned();
        name.push(".part");
        Ok(Self(path.with_file_name(name)))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
