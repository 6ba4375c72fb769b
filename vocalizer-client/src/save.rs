//! Downloads that end in memory or in files.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::song::SongId;

use crate::{Client, Download, Error, SongFile};

impl Client {
    /// Downloads a file into memory, if it is no more than `max_bytes`.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::into_bytes`].
    pub async fn download_bytes(&self, id: SongId, file: impl Into<SongFile>, max_bytes: u64) -> Result<Bytes, Error> {
        self.download(id, file).await?.into_bytes(max_bytes).await
    }

    /// Downloads a file into one here, replacing what is there.
    ///
    /// It is there whole or not at all: until it is, the bytes are beside it under its name with `.part`. Where the
    /// server's file changes meanwhile, it is begun again, once.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::next_chunk`]; [`Error::File`] when the file cannot be written.
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

    /// Downloads the four stems of a song into a folder, which is made where it is missing, and says where they are.
    ///
    /// Their names are those of [`SongFile::name`], `Title (vocals).mp3` and so on; what is there is replaced.
    ///
    /// # Errors
    ///
    /// Those of [`Client::song`] and [`Client::download_to`]; stems that are there by then stay.
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

/// All of it in a file, which is there whole or, after an error, as it was before.
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

/// A file under a name of its own that goes when it is dropped; renamed, it is no longer there to go.
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
