//! Downloads into memory and files.

use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use vocalizer_api::id::SongId;
use vocalizer_api::part::{Format, Part, Stem};

use crate::{Client, Download, Error, SongFile};

impl Client {
    /// Downloads a file into memory, at most `max_bytes`.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # fn play(_: &[u8]) {}
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// match client.download_bytes(id, Part::Accompaniment, 50 * 1024 * 1024).await {
    ///     Ok(mp3) => play(&mp3),
    ///     Err(Error::Limit { .. }) => println!("too long to play from memory"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::into_bytes`].
    pub async fn download_bytes(&self, id: SongId, file: impl Into<SongFile>, max_bytes: u64) -> Result<Bytes, Error> {
        self.download(id, file).await?.into_bytes(max_bytes).await
    }

    /// Downloads a part of a file into memory: the bytes from `range.start` to before `range.end`.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// // The first bytes tell the format.
    /// let start = client.download_range(id, Part::Vocals, 0..4).await?;
    /// assert_eq!(start.len(), 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if the server sends more, and those of [`Client::download`].
    pub async fn download_range(
        &self,
        id: SongId,
        file: impl Into<SongFile>,
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.source(id, file.into())?.range(range).await
    }

    /// Downloads a file to `path`, replacing an existing file. Await it, or set options first.
    ///
    /// The replacement is atomic: the bytes go to a file with the suffix `.part` first. If the file changes on the
    /// server meanwhile, the download restarts once.
    ///
    /// ```
    /// # use vocalizer_client::{Format, Part, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let folder = tempfile::tempdir()?;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// client.download_to(id, Part::Vocals, folder.path().join("vocals.mp3")).await?;
    /// client
    ///     .download_to(id, (Part::Song, Format::Wav), folder.path().join("song.wav"))
    ///     .with_progress(|bytes, size| println!("{bytes} of {size:?}"))
    ///     .resumable()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::next_chunk`]; [`Error::File`] if the file cannot be written.
    pub fn download_to(&self, id: SongId, file: impl Into<SongFile>, path: impl AsRef<Path>) -> DownloadTo {
        let (client, file, path) = (self.clone(), file.into(), path.as_ref().to_owned());
        DownloadTo { client, id, file, path, progress: None, is_resumable: false }
    }

    /// Downloads the four stems of a song into a folder and returns their paths. Creates the folder if necessary. Await
    /// it, or set options first.
    ///
    /// The names come from [`SongFile::name`], `Title (vocals).mp3` and so on. Existing files are replaced.
    ///
    /// ```
    /// # use vocalizer_client::{Format, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let folder = tempfile::tempdir()?;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// let paths = client
    ///     .download_stems(id, Format::Flac, folder.path().join("stems"))
    ///     .with_progress(|stem, bytes, size_bytes| println!("{stem}: {bytes} of {size_bytes:?}"))
    ///     .with_concurrency(4)
    ///     .await?;
    /// assert_eq!(paths.len(), 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::song`] and [`Client::download_to`]; already downloaded stems stay.
    pub fn download_stems(&self, id: SongId, format: Format, folder: impl AsRef<Path>) -> DownloadStems {
        let (client, folder) = (self.clone(), folder.as_ref().to_owned());
        DownloadStems { client, id, format, folder, progress: None, concurrency: 2 }
    }
}

/// Called with the bytes received so far, and the size if it is known.
type Progress = Box<dyn FnMut(u64, Option<u64>) + Send>;

/// A download to a file; see [`Client::download_to`].
#[must_use = "a download does nothing unless it is awaited"]
pub struct DownloadTo {
    client: Client,
    id: SongId,
    file: SongFile,
    path: PathBuf,
    progress: Option<Progress>,
    is_resumable: bool,
}

impl DownloadTo {
    /// Calls a function with the bytes received so far, and the size if it is known.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// let mut shown_percent = 0;
    /// let download = client.download_to(id, Part::Vocals, "vocals.mp3").with_progress(move |bytes, size_bytes| {
    ///     let percent = 100 * bytes / size_bytes.unwrap_or(u64::MAX).max(1);
    ///     if percent > shown_percent {
    ///         println!("{percent} %");
    ///         shown_percent = percent;
    ///     }
    /// });
    /// download.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_progress(mut self, progress: impl FnMut(u64, Option<u64>) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Keeps the bytes received so far if the download fails, and continues there next time, also in another process. The
    /// files are `<name>.part` and `<name>.part.etag`, beside the file. Only one process may download the file at a time.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use vocalizer_client::{Client, Error, Part, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// while let Err(error) = client.download_to(id, Part::Vocals, "vocals.mp3").resumable().await {
    ///     if !error.is_transient() {
    ///         return Err(error);
    ///     }
    ///     tokio::time::sleep(Duration::from_secs(60)).await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub const fn resumable(mut self) -> Self {
        self.is_resumable = true;
        self
    }

    async fn run(mut self) -> Result<(), Error> {
        match self.save().await {
            Err(Error::Changed) => self.save().await,
            saved => saved,
        }
    }

    /// Writes the download to a file atomically. On an error, an existing file stays unchanged.
    async fn save(&mut self) -> Result<(), Error> {
        let path = self.path.clone();
        let failed = |source| Error::File { path: path.clone(), source };
        let mut unfinished = Unfinished::beside(&self.path).map_err(failed)?;
        let earlier = match self.is_resumable {
            true => unfinished.resume(&self.client, self.id, self.file).await?,
            false => None,
        };
        let mut download = match earlier {
            Some(download) => download,
            None => self.client.download(self.id, self.file).await?,
        };
        let mut file = if download.position() == 0 {
            File::create(&unfinished.path).await
        } else {
            File::options().append(true).open(&unfinished.path).await
        }
        .map_err(failed)?;
        match download.etag().filter(|_| self.is_resumable) {
            Some(etag) => fs::write(&unfinished.etag, etag).await.map_err(failed)?,
            // The ETag of an earlier download does not belong to these bytes.
            None => drop(fs::remove_file(&unfinished.etag).await),
        }
        unfinished.is_kept = self.is_resumable && download.etag().is_some();
        loop {
            let chunk = match download.next_chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    unfinished.is_kept &= !matches!(error, Error::Changed);
                    // What is still in the buffer can be resumed too.
                    let _ = file.flush().await;
                    return Err(error);
                }
            };
            file.write_all(&chunk).await.map_err(failed)?;
            if let Some(progress) = &mut self.progress {
                progress(download.position(), download.size_bytes());
            }
        }
        file.sync_all().await.map_err(failed)?;
        drop(file);
        fs::rename(&unfinished.path, &self.path).await.map_err(failed)?;
        unfinished.is_kept = false;
        Ok(())
    }
}

impl IntoFuture for DownloadTo {
    type Output = Result<(), Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for DownloadTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadTo").field("id", &self.id).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Called with a stem, its bytes received so far, and its size if it is known.
type StemProgress = Arc<Mutex<dyn FnMut(Stem, u64, Option<u64>) + Send>>;

/// A download of all stems; see [`Client::download_stems`].
#[must_use = "a download does nothing unless it is awaited"]
pub struct DownloadStems {
    client: Client,
    id: SongId,
    format: Format,
    folder: PathBuf,
    progress: Option<StemProgress>,
    concurrency: usize,
}

impl DownloadStems {
    /// Calls a function with a stem, its bytes received so far, and its size if it is known.
    ///
    /// ```no_run
    /// # use std::collections::HashMap;
    /// # use vocalizer_client::{Client, Error, Format, SongId, Stem};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// let mut received: HashMap<Stem, u64> = HashMap::new();
    /// let download = client.download_stems(id, Format::Mp3, "stems").with_progress(move |stem, bytes, _| {
    ///     received.insert(stem, bytes);
    ///     println!("{} bytes", received.values().sum::<u64>());
    /// });
    /// let paths = download.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_progress(mut self, progress: impl FnMut(Stem, u64, Option<u64>) + Send + 'static) -> Self {
        self.progress = Some(Arc::new(Mutex::new(progress)));
        self
    }

    /// Sets how many stems are downloaded at a time. Default: 2.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Format, SongId};
    /// # async fn demo(client: &Client, id: SongId) -> Result<(), Error> {
    /// // One after the other: on a slow connection, the first stem is complete sooner.
    /// client.download_stems(id, Format::Wav, "stems").with_concurrency(1).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    async fn run(self) -> Result<Vec<PathBuf>, Error> {
        let song = self.client.song_in_detail(self.id).await?;
        let (title, parts) = (song.title, song.parts.unwrap_or_default());
        let mut stems: Vec<Stem> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        if stems.is_empty() {
            // A server of the original system, or a song without stems: the downloads say so.
            stems = Stem::FOUR.to_vec();
        }
        let failed = |source| Error::File { path: self.folder.clone(), source };
        fs::create_dir_all(&self.folder).await.map_err(failed)?;
        let downloads = stems.into_iter().map(|stem| {
            let file = SongFile::from((Part::Stem(stem), self.format));
            let path = self.folder.join(file.name(&title));
            let mut download = self.client.download_to(self.id, file, &path);
            if let Some(progress) = self.progress.clone() {
                download = download.with_progress(move |bytes, size_bytes| {
                    (progress.lock().unwrap_or_else(PoisonError::into_inner))(stem, bytes, size_bytes);
                });
            }
            async move { download.await.map(|()| path) }
        });
        stream::iter(downloads).buffered(self.concurrency.max(1)).try_collect().await
    }
}

impl IntoFuture for DownloadStems {
    type Output = Result<Vec<PathBuf>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for DownloadStems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadStems").field("id", &self.id).field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A file that is not finished, and the ETag of its source. Both are removed on drop unless they are kept.
struct Unfinished {
    path: PathBuf,
    etag: PathBuf,
    is_kept: bool,
}

impl Unfinished {
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let with = |suffix: &str| {
            let mut name = name.to_owned();
            name.push(suffix);
            path.with_file_name(name)
        };
        Ok(Self { path: with(".part"), etag: with(".part.etag"), is_kept: false })
    }

    /// Continues an earlier download if there is one of the same file.
    async fn resume(&mut self, client: &Client, id: SongId, file: SongFile) -> Result<Option<Download>, Error> {
        let (Ok(etag), Ok(part)) = (fs::read_to_string(&self.etag).await, fs::metadata(&self.path).await) else {
            return Ok(None);
        };
        if part.len() == 0 {
            return Ok(None);
        }
        self.is_kept = true;
        match client.resume(id, file, part.len(), &etag).await {
            Ok(download) => Ok(Some(download)),
            // It may also be complete already, so that there is no rest.
            Err(Error::Changed) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_file(&self.etag);
        }
    }
}
