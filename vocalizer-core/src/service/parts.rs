//! Downloads: parts and mixes of a song.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::StreamExt as _;

use super::ServiceError;
use super::cache::Pin;
use super::songs::SongService;
use crate::account::{Client, Viewer};
use crate::part::{Format, Part, Stem};
use crate::ports::{Blob, BlobKey, BlobWriter};
use crate::song::{Song, SongHash, SongId, Status, Title};

/// A part as an existing file with its size. Its bytes are not read yet. A cached rendition is not evicted while this
/// value or a blob opened from it exists.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
/// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
/// # let clock = Arc::new(ManualClock::new());
/// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
/// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
/// # upload.write("the file".into()).await?;
/// # let song = upload.finish("Clair de lune").await?;
/// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "vocals".into() };
/// # service.deliver(&song.hash.parse()?, &stems).await?;
/// let file = service.part(Viewer::Anonymous.into(), song.id, Part::Vocals, Format::Mp3).await?;
/// println!("ETag: \"{}\"; Content-Length: {}", file.tag, file.size_bytes);
/// let first = service.open(&file, Some(0..3)).await?.next_chunk().await?;
/// assert_eq!(first.as_deref(), Some(&b"voc"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PartFile {
    key: BlobKey,
    /// Protects a rendition from eviction.
    pin: Option<Arc<Pin>>,
    /// The size of the file.
    pub size_bytes: u64,
    /// The file's tag (ETag); it changes with the bytes.
    pub tag: String,
    /// The song's title.
    pub title: Title,
    /// Whether the bytes are in the requested format or are the original upload.
    pub origin: Origin,
}

/// What is known of a part without rendering it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartInfo {
    /// The song's title.
    pub title: Title,
    /// The file; `None` for a rendition that [`SongService::part`] would render.
    pub file: Option<PartFile>,
}

/// The gain of each stem in a mix.
///
/// ```
/// use vocalizer_core::part::Stem;
/// use vocalizer_core::service::Levels;
///
/// let karaoke = Levels::PLAIN.with(Stem::VOCALS, 0.0).and_then(|levels| levels.with(Stem::DRUMS, 1.5));
/// assert!(karaoke.is_some());
/// assert_eq!(Levels::PLAIN.with(Stem::VOCALS, 2.5), None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Levels(BTreeMap<Stem, f32>);

impl Levels {
    /// The highest gain: twice as loud as the stem, or +6 dB.
    pub const MOST: f32 = 2.0;

    /// Every stem unchanged.
    pub const PLAIN: Self = Self(BTreeMap::new());

    /// Sets one stem's gain; `None` for a gain outside 0 to [`Self::MOST`].
    #[must_use]
    pub fn with(mut self, stem: Stem, gain: f32) -> Option<Self> {
        self.0.insert(stem, Some(gain).filter(|gain| (0.0..=Self::MOST).contains(gain))?);
        Some(self)
    }

    fn gain(&self, stem: Stem) -> f32 {
        self.0.get(&stem).copied().unwrap_or(1.0)
    }
}

/// A mix of a song's stems.
pub struct Mix {
    /// The song's title.
    pub title: Title,
    /// The bytes.
    pub blob: Blob,
}

/// Where the bytes of a part come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The original upload, in its own format.
    Upload,
    /// Rendered here or by a worker, in the requested format.
    Made,
}

impl SongService {
    /// Returns a part of a song in a format.
    ///
    /// `song.mp3` is the unchanged upload, as the contract requires. Stems are stored as MP3, FLAC or both, as the worker
    /// delivered them. Other formats and the accompaniment are rendered on request, from FLAC if there is one, which takes
    /// a few seconds, and cached while there is room. Clients take
    /// turns. Dropping the call cancels the rendering, unless other clients wait for the same file.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "vocals".into() };
    /// # service.deliver(&song.hash.parse()?, &stems).await?;
    /// let file = service.part(Viewer::Anonymous.into(), song.id, Part::Vocals, Format::Mp3).await?;
    /// let mut blob = service.open(&file, None).await?;
    /// while let Some(chunk) = blob.next_chunk().await? {
    ///     assert_eq!(chunk, "vocals");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::NotReady`] while the song waits or is
    /// being split; [`ServiceError::NotSplit`] if splitting failed; [`ServiceError::Busy`] when the rendering queue is
    /// full or rendering times out; [`ServiceError::Full`], [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn part(&self, client: Client, id: SongId, part: Part, format: Format) -> Result<PartFile, ServiceError> {
        let song = self.with_part(client.viewer, id, part).await?;
        self.obtain(client, &song, part, key(&song, part, format)).await
    }

    /// Returns a preview of a part: a small MP3 for listening over a slow connection, rendered on request like other
    /// formats.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part`].
    pub async fn preview(&self, client: Client, id: SongId, part: Part) -> Result<PartFile, ServiceError> {
        let song = self.with_part(client.viewer, id, part).await?;
        self.obtain(client, &song, part, BlobKey::Preview(place(&song, part), part)).await
    }

    /// Returns what is known of a preview, without rendering it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::part_info`].
    pub async fn preview_info(&self, viewer: Viewer, id: SongId, part: Part) -> Result<PartInfo, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        let file = self.file(&song, BlobKey::Preview(place(&song, part), part)).await?;
        Ok(PartInfo { title: song.title().clone(), file })
    }

    /// Returns a file of a part. A derived one is rendered if it does not exist.
    async fn obtain(&self, client: Client, song: &Song, part: Part, key: BlobKey) -> Result<PartFile, ServiceError> {
        if let Some(file) = self.file(song, key).await? {
            return Ok(file);
        }
        let _pin = if key.is_made() {
            let (hash, sources) = (*song.hash(), sources(song, part));
            let work = move |service: Self| async move { service.render(hash, key, sources).await };
            Some(self.make(client.share(), key, work).await?)
        } else {
            None
        };
        match self.file(song, key).await? {
            Some(file) => Ok(file),
            None => Err(self.missing(song.id(), key).await?),
        }
    }

    /// Returns what is known of a part in a format, without rendering it.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "vocals".into() };
    /// # service.deliver(&song.hash.parse()?, &stems).await?;
    /// let info = service.part_info(Viewer::Anonymous, song.id, Part::Vocals, Format::Mp3).await?;
    /// assert_eq!(info.file.map(|file| file.size_bytes), Some(6));
    ///
    /// // `part` would render this file.
    /// let info = service.part_info(Viewer::Anonymous, song.id, Part::Vocals, Format::Wav).await?;
    /// assert!(info.file.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`] except [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn part_info(
        &self,
        viewer: Viewer,
        id: SongId,
        part: Part,
        format: Format,
    ) -> Result<PartInfo, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        let key = key(&song, part, format);
        let file = self.file(&song, key).await?;
        if file.is_none() && !key.is_made() {
            return Err(self.missing(id, key).await?);
        }
        Ok(PartInfo { title: song.title().clone(), file })
    }

    /// Returns why a song's blob is missing: the song was just deleted, or its bytes were lost.
    pub(super) async fn missing(&self, id: SongId, key: BlobKey) -> Result<ServiceError, ServiceError> {
        Ok(match self.ports().songs.find(id).await? {
            None => ServiceError::NO_SONG,
            Some(_) => ServiceError::Internal(format!("the blob {key} is missing").into()),
        })
    }

    /// Returns the bytes of a small derived blob, if it is cached.
    pub(super) async fn kept(&self, key: &BlobKey) -> Result<Option<Vec<u8>>, ServiceError> {
        let pin = self.made().cache.pin(*key).await;
        let Some(mut blob) = self.ports().blobs.open(key, None).await? else { return Ok(None) };
        pin.set_size(blob.size_bytes());
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.next_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// Stores a small derived blob.
    pub(super) async fn keep_bytes(&self, hash: &SongHash, key: &BlobKey, bytes: Vec<u8>) -> Result<(), ServiceError> {
        let size_bytes = bytes.len() as u64;
        let mut writer = self.ports().blobs.begin().await?;
        writer.write(bytes.into()).await?;
        self.keep_made(hash, writer, key, size_bytes).await
    }

    /// Mixes a song's stems at these levels into one file, which is not cached. Clients take turns, as for other
    /// formats; a slow download does not hold a place in the queue.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # struct Concatenation;
    /// # #[async_trait::async_trait]
    /// # impl Renderer for Concatenation {
    /// #     async fn mix(&self, tracks: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
    /// #         let mut mix = Vec::new();
    /// #         for (mut blob, _) in tracks {
    /// #             while let Ok(Some(chunk)) = blob.next_chunk().await { mix.extend_from_slice(&chunk); }
    /// #         }
    /// #         Ok(bytes::Bytes::from(mix).into())
    /// #     }
    /// #     async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
    /// #         let mut peaks = Peaks::new(44_100);
    /// #         peaks.extend([1.0_f32; 512].into_iter());
    /// #         Ok(peaks)
    /// #     }
    /// # }
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// # let service = builder.with_renderer(Arc::new(Concatenation)).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// # let stems = Stems { drums: "d".into(), bass: "b".into(), other: "o".into(), vocals: "vocals".into() };
    /// # service.deliver(&song.hash.parse()?, &stems).await?;
    /// let karaoke = Levels::PLAIN.with(Stem::VOCALS, 0.0).ok_or("a gain from 0 to 2")?;
    /// let mut mix = service.mix(Viewer::Anonymous.into(), song.id, &karaoke, Format::Wav).await?;
    /// println!("{} (karaoke).wav: {} bytes", mix.title, mix.blob.size_bytes());
    /// while let Some(chunk) = mix.blob.next_chunk().await? {
    ///     // Send it to the client.
    ///     # assert_eq!(chunk, "dbo");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] when every level is 0, and the errors of [`Self::part`].
    pub async fn mix(&self, client: Client, id: SongId, levels: &Levels, format: Format) -> Result<Mix, ServiceError> {
        let song = self.mixable(client.viewer, id, levels).await?;
        let held = self.hold_mix(client.share())?;
        let mix = async {
            let mut tracks = Vec::new();
            for &stem in song.stems().names() {
                let (key, gain) = (stored(&song, stem), levels.gain(stem));
                if gain == 0.0 {
                    continue;
                }
                tracks.push((self.ports().blobs.open(&key, None).await?.ok_or(ServiceError::NO_SONG)?, gain));
            }
            Ok::<_, ServiceError>(self.ports().renderer.mix(tracks, format).await?)
        };
        let blob = self.make_once(client.share(), mix).await?;
        let uncached = self.made().cache.count_uncached(blob.size_bytes());
        self.trim_or_warn().await;
        Ok(Mix { title: song.title().clone(), blob: with_guard(blob, (held, uncached)) })
    }

    /// Returns the title of the song that [`Self::mix`] would mix, without rendering.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::mix`] except [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn mix_title(&self, viewer: Viewer, id: SongId, levels: &Levels) -> Result<Title, ServiceError> {
        Ok(self.mixable(viewer, id, levels).await?.title().clone())
    }

    /// Returns a song that can be mixed at these levels.
    async fn mixable(&self, viewer: Viewer, id: SongId, levels: &Levels) -> Result<Song, ServiceError> {
        let song = self.split(viewer, id).await?;
        let names = song.stems().names();
        // Clients that know four stems send the gains of all of them.
        if let Some((stem, _)) = levels.0.iter().find(|&(stem, &gain)| gain != 1.0 && !names.contains(stem)) {
            let has = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(ServiceError::invalid("mix", format!("the song has no stem {stem}; it has {has}")));
        }
        if names.iter().all(|&stem| levels.gain(stem) == 0.0) {
            return Err(ServiceError::invalid("vocals", "every stem is muted; set at least one level above 0"));
        }
        Ok(song)
    }

    /// Returns a song whose part is available.
    pub(super) async fn with_part(&self, viewer: Viewer, id: SongId, part: Part) -> Result<Song, ServiceError> {
        let song = self.visible(viewer, id).await?;
        if song.parts().contains(&part) {
            return Ok(song);
        }
        let due = self.models().find(self.model_of_song(&song).as_str()).map(|model| model.stems.clone());
        let is_due = |stem| song.target().wants(stem) && due.as_ref().is_none_or(|due| due.contains(&stem));
        if !part.stem().is_none_or(is_due) || song.status() == &Status::Split {
            return Err(ServiceError::NotFound { what: "part" });
        }
        Err(self.not_split(&song))
    }

    /// Returns a song that has stems.
    async fn split(&self, viewer: Viewer, id: SongId) -> Result<Song, ServiceError> {
        let song = self.visible(viewer, id).await?;
        if song.stems().key.is_some() { Ok(song) } else { Err(self.not_split(&song)) }
    }

    /// Returns the stems that a song offers, and its title.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part_info`].
    pub async fn stems(&self, viewer: Viewer, id: SongId) -> Result<(Title, Vec<Stem>), ServiceError> {
        let song = self.split(viewer, id).await?;
        Ok((song.title().clone(), song.parts().into_iter().filter_map(Part::stem).collect()))
    }

    /// Returns why a song has no stems.
    fn not_split(&self, song: &Song) -> ServiceError {
        match song.status() {
            Status::Failed { reason } => ServiceError::NotSplit { reason: reason.to_string() },
            Status::Uploading | Status::Uploaded | Status::Splitting | Status::Split => {
                ServiceError::NotReady { retry_after: self.settings().retry_after }
            }
        }
    }

    /// Opens a part, or the bytes of it in `range`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`] if it was deleted meanwhile; [`ServiceError::Unavailable`].
    pub async fn open(&self, file: &PartFile, range: Option<Range<u64>>) -> Result<Blob, ServiceError> {
        let blob = self.ports().blobs.open(&file.key, range).await?.ok_or(ServiceError::NO_SONG)?;
        Ok(match &file.pin {
            Some(pin) => with_guard(blob, Arc::clone(pin)),
            None => blob,
        })
    }

    async fn file(&self, song: &Song, key: BlobKey) -> Result<Option<PartFile>, ServiceError> {
        // Pinned before the lookup, so that it is not evicted in between.
        let pin = if key.is_made() { Some(Arc::new(self.made().cache.pin(key).await)) } else { None };
        let Some(blob) = self.ports().blobs.open(&key, None).await? else { return Ok(None) };
        let size_bytes = blob.size_bytes();
        if let Some(pin) = &pin {
            pin.set_size(size_bytes);
        }
        let origin = if matches!(key, BlobKey::Source(_)) { Origin::Upload } else { Origin::Made };
        Ok(Some(PartFile { key, pin, size_bytes, tag: blob.tag().to_owned(), title: song.title().clone(), origin }))
    }

    /// Renders and stores a rendition or a preview.
    async fn render(&self, hash: SongHash, key: BlobKey, sources: Vec<BlobKey>) -> Result<(), ServiceError> {
        let blobs = &self.ports().blobs;
        // Another client may have rendered it since the lookup.
        if blobs.size_bytes(&key).await?.is_some() {
            return Ok(());
        }
        let (renderer, sources) = (&self.ports().renderer, self.open_all(sources).await?);
        let mut rendered = match key {
            BlobKey::Rendition(_, _, format) => renderer.render(sources, format).await?,
            _ => renderer.preview(sources).await?,
        };
        let size_bytes = rendered.size_bytes();
        let mut writer = blobs.begin().await?;
        while let Some(chunk) = rendered.next_chunk().await? {
            writer.write(chunk).await?;
        }
        self.keep_made(&hash, writer, &key, size_bytes).await
    }

    pub(super) async fn open_all(&self, keys: Vec<BlobKey>) -> Result<Vec<Blob>, ServiceError> {
        let mut blobs = Vec::new();
        for key in keys {
            blobs.push(self.ports().blobs.open(&key, None).await?.ok_or(ServiceError::NO_SONG)?);
        }
        Ok(blobs)
    }

    /// Stores what was derived from a song, unless the last song was deleted meanwhile: then nothing may be stored under its
    /// hash.
    async fn keep_made(
        &self,
        hash: &SongHash,
        writer: Box<dyn BlobWriter>,
        key: &BlobKey,
        size_bytes: u64,
    ) -> Result<(), ServiceError> {
        let _lock = self.ports().coordination.lock(hash).await?;
        if self.ports().songs.with_hash(hash).await?.is_empty() {
            return Err(ServiceError::NO_SONG);
        }
        // Counted before the commit: if this future is dropped in between, the file must not go uncounted.
        let pin = self.made().cache.pin(*key).await;
        pin.set_size(size_bytes);
        if let Err(error) = writer.commit(key).await {
            pin.set_size(0);
            return Err(error.into());
        }
        Ok(())
    }
}

/// Returns a blob that holds `guard` until it is dropped.
fn with_guard(blob: Blob, guard: impl Send + 'static) -> Blob {
    let (size_bytes, tag) = (blob.size_bytes(), blob.tag().to_owned());
    let guarded = blob.map(move |chunk| {
        let _ = &guard;
        chunk
    });
    Blob::new(size_bytes, tag, guarded)
}

/// Returns what the blobs of a part are stored under: the key of the results, or the hash for the song itself.
pub(super) fn place(song: &Song, part: Part) -> SongHash {
    song.stems().key.filter(|_| part != Part::Song).unwrap_or(*song.hash())
}

/// Returns the key that a part is stored under. Only renditions can be rebuilt.
fn key(song: &Song, part: Part, format: Format) -> BlobKey {
    let (place, formats) = (place(song, part), song.stems().formats);
    match (part, format) {
        (Part::Song, Format::Mp3) => BlobKey::Source(place),
        (Part::Stem(stem), Format::Mp3) if formats.has(format) => BlobKey::Stem(place, stem),
        (Part::Stem(stem), Format::Flac) if formats.has(format) => BlobKey::Lossless(place, stem),
        _ => BlobKey::Rendition(place, part, format),
    }
}

/// Returns the key of a stem in the best format in which it is stored.
fn stored(song: &Song, stem: Stem) -> BlobKey {
    let place = place(song, Part::Stem(stem));
    if song.stems().formats.is_lossless() { BlobKey::Lossless(place, stem) } else { BlobKey::Stem(place, stem) }
}

/// Returns the keys of the blobs whose sum is the part.
pub(super) fn sources(song: &Song, part: Part) -> Vec<BlobKey> {
    match part {
        Part::Song => vec![BlobKey::Source(*song.hash())],
        Part::Stem(stem) => vec![stored(song, stem)],
        Part::Accompaniment => song.stems().accompaniment().into_iter().map(|stem| stored(song, stem)).collect(),
    }
}
