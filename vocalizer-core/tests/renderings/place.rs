//! A service in memory whose renderer waits for permits.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use vocalizer_core::account::{Client, Viewer};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::{
    AudioError, Blob, BlobKey, BlobStore as _, Clock as _, Peaks, Renderer, SongRepository, Track,
};
use vocalizer_core::service::{Levels, PartFile, RenderingSettings, ServiceError, SongService, SongSettings};
use vocalizer_core::song::{Song, SongHash, SongId, Title};

/// The size of every rendered file.
pub(crate) const FILE_BYTES: u64 = 100;

/// Renders one file per permit, and records started and cancelled work.
pub(crate) struct GatedRenderer {
    pub(crate) permits: Semaphore,
    started: Mutex<Vec<String>>,
    cancelled: Mutex<Vec<String>>,
}

struct CancelGuard<'a>(&'a GatedRenderer, Option<String>);

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        self.0.cancelled.lock().unwrap().extend(self.1.take());
    }
}

impl GatedRenderer {
    async fn work(&self, tracks: Vec<Track>) -> Result<(), AudioError> {
        let (mut first, _) = tracks.into_iter().next().unwrap();
        let name = String::from_utf8(first.next_chunk().await.unwrap().unwrap().to_vec()).unwrap();
        self.started.lock().unwrap().push(name.clone());
        let mut guard = CancelGuard(self, Some(name));
        self.permits.acquire().await.unwrap().forget();
        guard.1 = None;
        Ok(())
    }
}

#[async_trait]
impl Renderer for GatedRenderer {
    async fn mix(&self, tracks: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
        self.work(tracks).await?;
        Ok(Blob::from(Bytes::from(vec![7; usize::try_from(FILE_BYTES).unwrap()])))
    }

    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError> {
        self.work(files.into_iter().map(|file| (file, 1.0)).collect()).await?;
        Ok(Peaks::new(44_100))
    }
}

pub(crate) struct Fixture {
    pub(crate) service: SongService,
    pub(crate) renderer: Arc<GatedRenderer>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) blobs: MemoryBlobs,
    songs: Arc<MemorySongs>,
}

impl Fixture {
    pub(crate) fn new(renderings: RenderingSettings) -> Self {
        Self::with(renderings, MemoryBlobs::default(), Arc::default(), Arc::new(ManualClock::new()))
    }

    /// Opens the same installation as after a restart.
    pub(crate) fn restarted(&self, renderings: RenderingSettings) -> Self {
        Self::with(renderings, self.blobs.clone(), Arc::clone(&self.songs), Arc::clone(&self.clock))
    }

    fn with(
        renderings: RenderingSettings,
        blobs: MemoryBlobs,
        songs: Arc<MemorySongs>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let renderer = Arc::new(GatedRenderer {
            permits: Semaphore::new(0),
            started: Mutex::default(),
            cancelled: Mutex::default(),
        });
        let service = SongService::builder_with_clock(
            Arc::clone(&songs) as _,
            Arc::new(blobs.clone()),
            Arc::new(IdleQueue),
            Arc::clone(&clock) as _,
        )
        .with_renderer(Arc::clone(&renderer) as _)
        .with_settings(SongSettings { renderings, ..SongSettings::default() })
        .build();
        Self { service, renderer, clock, blobs, songs }
    }

    /// Stores an anonymous split song whose source and stems contain this name.
    pub(crate) async fn song(&self, name: &str) -> SongId {
        let hash = hash(name);
        let stems = Stem::FOUR.map(|stem| BlobKey::Stem(hash, stem));
        for key in [BlobKey::Source(hash)].iter().chain(&stems) {
            let mut writer = self.blobs.begin().await.unwrap();
            writer.write(Bytes::from(name.to_owned())).await.unwrap();
            writer.commit(key).await.unwrap();
        }
        let id = SongId::random();
        let mut song = Song::begin(id, Title::parse(name, 100).unwrap(), hash, None, self.clock.now());
        song.finish_upload().unwrap();
        self.songs.admit(&song).await.unwrap();
        self.songs.advance(&hash, &Advance::FINISH_MP3).await.unwrap();
        id
    }

    /// Stores several such songs.
    pub(crate) async fn songs<const N: usize>(&self, names: [&str; N]) -> [SongId; N] {
        let mut ids = Vec::new();
        for name in names {
            ids.push(self.song(name).await);
        }
        ids.try_into().unwrap()
    }

    /// Requests the drums as FLAC.
    pub(crate) fn ask(&self, client: Client, id: SongId) -> Request<PartFile> {
        let service = self.service.clone();
        Request::new(async move { service.part(client, id, Part::Drums, Format::Flac).await })
    }

    /// Requests a mix without reading it.
    pub(crate) fn mix(&self, client: Client, id: SongId) -> Request<Blob> {
        let service = self.service.clone();
        Request::new(async move { Ok(service.mix(client, id, &Levels::PLAIN, Format::Mp3).await?.blob) })
    }

    pub(crate) fn peaks(&self, client: Client, id: SongId) -> Request<Peaks> {
        let service = self.service.clone();
        Request::new(async move { service.peaks(client, id, Part::Drums).await })
    }

    /// Renders the drums of a song.
    pub(crate) async fn render(&self, id: SongId) {
        self.renderer.permits.add_permits(1);
        self.ask(client(1), id).end().await.unwrap();
    }

    /// Lets the renderer finish one rendering, then waits until nothing more happens.
    pub(crate) async fn finish_one(&self) {
        self.renderer.permits.add_permits(1);
        settle().await;
    }

    /// Returns the songs in the order in which their renderings started.
    pub(crate) fn started(&self) -> Vec<String> {
        self.renderer.started.lock().unwrap().clone()
    }

    /// Returns the songs whose renderings were cancelled.
    pub(crate) fn cancelled(&self) -> Vec<String> {
        self.renderer.cancelled.lock().unwrap().clone()
    }

    /// Returns the songs whose drums are cached as FLAC.
    pub(crate) fn cached<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let is_cached = |name: &&str| {
            let key = BlobKey::Rendition(hash(name), Part::Drums, Format::Flac);
            self.blobs.size_bytes(&key).now_or_never().unwrap().unwrap().is_some()
        };
        names.into_iter().filter(is_cached).collect()
    }
}

pub(crate) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

/// Returns an anonymous client with its own address.
pub(crate) fn client(number: u8) -> Client {
    Client::at(Viewer::Anonymous, Ipv4Addr::new(10, 0, 0, number).into())
}

/// Yields until all tasks are blocked.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A running request, aborted on drop.
pub(crate) struct Request<T>(JoinHandle<Result<T, ServiceError>>);

impl<T: Send + 'static> Request<T> {
    fn new(future: impl Future<Output = Result<T, ServiceError>> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    pub(crate) async fn end(mut self) -> Result<T, ServiceError> {
        tokio::time::timeout(Duration::from_secs(60), &mut self.0).await.expect("the request ends").unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Drop for Request<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns whether a request was rejected because the service is busy.
pub(crate) fn is_busy<T>(response: &Result<T, ServiceError>) -> bool {
    matches!(response, Err(ServiceError::Busy { retry_after, .. }) if !retry_after.is_zero())
}
