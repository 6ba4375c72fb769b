//! A service in memory whose renderer works only when it is told to.

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
use vocalizer_core::memory::{ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::{
    AudioError, Blob, BlobKey, BlobStore, Clock, DeadLetter, Depth, Job, JobQueue, JobState, Lease, Peaks, QueueError,
    Renderer, SongRepository, Track,
};
use vocalizer_core::service::{
    Levels, LocalCommons, PartFile, RenderingSettings, ServiceError, SongPorts, SongService, SongSettings,
};
use vocalizer_core::song::{Song, SongHash, SongId, Title};

#[path = "../support/not_asked.rs"]
mod not_asked;
use not_asked::NotAsked;

/// How large everything is that is made.
pub(crate) const SIZE: u64 = 100;

/// Works on one file for each permit, and notes what it was asked for and how that ended.
pub(crate) struct Gated {
    pub(crate) go: Semaphore,
    begun: Mutex<Vec<String>>,
    given_up: Mutex<Vec<String>>,
}

struct Unless<'a>(&'a Gated, Option<String>);

impl Drop for Unless<'_> {
    fn drop(&mut self) {
        self.0.given_up.lock().unwrap().extend(self.1.take());
    }
}

impl Gated {
    async fn work(&self, tracks: Vec<Track>) -> Result<(), AudioError> {
        let (mut first, _) = tracks.into_iter().next().unwrap();
        let name = String::from_utf8(first.next_chunk().await.unwrap().unwrap().to_vec()).unwrap();
        self.begun.lock().unwrap().push(name.clone());
        let mut ended = Unless(self, Some(name));
        self.go.acquire().await.unwrap().forget();
        ended.1 = None;
        Ok(())
    }
}

#[async_trait]
impl Renderer for Gated {
    async fn mix(&self, tracks: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
        self.work(tracks).await?;
        Ok(Blob::from(Bytes::from(vec![7; usize::try_from(SIZE).unwrap()])))
    }

    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError> {
        self.work(files.into_iter().map(|file| (file, 1.0)).collect()).await?;
        Ok(Peaks::new(44_100))
    }
}

/// Nobody splits anything here.
struct NoJobs;

#[async_trait]
impl JobQueue for NoJobs {
    async fn publish(&self, _: Job) -> Result<(), QueueError> {
        Ok(())
    }
    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        std::future::pending().await
    }
    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Absent)
    }
    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }
    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(Vec::new())
    }
}

pub(crate) struct Place {
    pub(crate) service: SongService,
    pub(crate) renderer: Arc<Gated>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) blobs: MemoryBlobs,
    songs: Arc<MemorySongs>,
}

impl Place {
    pub(crate) fn new(renderings: RenderingSettings) -> Self {
        Self::over(renderings, MemoryBlobs::default(), Arc::default(), Arc::new(ManualClock::new()))
    }

    /// The same installation, as another process finds it.
    pub(crate) fn restarted(&self, renderings: RenderingSettings) -> Self {
        Self::over(renderings, self.blobs.clone(), Arc::clone(&self.songs), Arc::clone(&self.clock))
    }

    fn over(
        renderings: RenderingSettings,
        blobs: MemoryBlobs,
        songs: Arc<MemorySongs>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let renderer = Arc::new(Gated { go: Semaphore::new(0), begun: Mutex::default(), given_up: Mutex::default() });
        let ports = SongPorts {
            songs: Arc::clone(&songs) as _,
            commons: Arc::new(LocalCommons::default()),
            blobs: Arc::new(blobs.clone()),
            queue: Arc::new(NoJobs),
            probe: Arc::new(NotAsked),
            renderer: Arc::clone(&renderer) as _,
            results: Arc::new(NotAsked),
            clock: Arc::clone(&clock) as _,
        };
        let service = SongService::new(ports, SongSettings { renderings, ..SongSettings::default() });
        Self { service, renderer, clock, blobs, songs }
    }

    /// A split song of anybody's, whose source and stems hold this name.
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
        self.songs.advance(&hash, &Advance::Finish).await.unwrap();
        id
    }

    /// Several of them.
    pub(crate) async fn songs<const N: usize>(&self, names: [&str; N]) -> [SongId; N] {
        let mut ids = Vec::new();
        for name in names {
            ids.push(self.song(name).await);
        }
        ids.try_into().unwrap()
    }

    /// Asks for the drums as FLAC.
    pub(crate) fn ask(&self, client: Client, id: SongId) -> Asking<PartFile> {
        let service = self.service.clone();
        Asking::new(async move { service.part(client, id, Part::Drums, Format::Flac).await })
    }

    /// Asks for a mix, and reads nothing of it.
    pub(crate) fn mix(&self, client: Client, id: SongId) -> Asking<Blob> {
        let service = self.service.clone();
        Asking::new(async move { Ok(service.mix(client, id, &Levels::PLAIN, Format::Mp3).await?.blob) })
    }

    pub(crate) fn peaks(&self, client: Client, id: SongId) -> Asking<Peaks> {
        let service = self.service.clone();
        Asking::new(async move { service.peaks(client, id, Part::Drums).await })
    }

    /// Has the drums of a song made.
    pub(crate) async fn made(&self, id: SongId) {
        self.renderer.go.add_permits(1);
        self.ask(client(1), id).end().await.unwrap();
    }

    /// Lets the renderer end one piece of work, and waits until everybody has done what there is to do.
    pub(crate) async fn one_ends(&self) {
        self.renderer.go.add_permits(1);
        settle().await;
    }

    /// The songs in the order in which work on them began.
    pub(crate) fn begun(&self) -> Vec<String> {
        self.renderer.begun.lock().unwrap().clone()
    }

    /// The songs that work was given up on.
    pub(crate) fn given_up(&self) -> Vec<String> {
        self.renderer.given_up.lock().unwrap().clone()
    }

    /// The songs whose drums are kept as FLAC.
    pub(crate) fn kept<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let is_kept = |name: &&str| {
            let key = BlobKey::Rendition(hash(name), Part::Drums, Format::Flac);
            self.blobs.size_bytes(&key).now_or_never().unwrap().unwrap().is_some()
        };
        names.into_iter().filter(is_kept).collect()
    }
}

pub(crate) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

/// Somebody without a user, at an address of their own.
pub(crate) fn client(number: u8) -> Client {
    Client::at(Viewer::Anonymous, Ipv4Addr::new(10, 0, 0, number).into())
}

/// Lets everybody go on for as long as they can.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A request under way. It is given up when it is dropped.
pub(crate) struct Asking<T>(JoinHandle<Result<T, ServiceError>>);

impl<T: Send + 'static> Asking<T> {
    fn new(asking: impl Future<Output = Result<T, ServiceError>> + Send + 'static) -> Self {
        Self(tokio::spawn(asking))
    }

    pub(crate) async fn end(mut self) -> Result<T, ServiceError> {
        tokio::time::timeout(Duration::from_secs(60), &mut self.0).await.expect("it ends").unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Drop for Asking<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// It was refused since too much is being made.
pub(crate) fn is_busy<T>(answer: &Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Busy { retry_after, .. }) if !retry_after.is_zero())
}
