//! What the tags of a song hold besides its artist: the cover and the lyrics.

use bytes::Bytes;

use super::ServiceError;
use super::songs::SongService;
use crate::account::{Client, Viewer};
use crate::part::Part;
use crate::ports::BlobKey;
use crate::song::{Song, SongId};

/// A song whose file has no cover.
const NO_COVER: ServiceError = ServiceError::NotFound { what: "cover" };

impl SongService {
    /// Returns the cover in the tags of a song's file, as a JPEG whose sides have at most [`COVER_PIXELS`](crate::ports::COVER_PIXELS)
    /// pixels. It is made on request and cached, like other formats, whether the song is split or not.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use bytes::Bytes;
    /// # use vocalizer_core::{account::*, memory::*, part::*, ports::*, service::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # struct Painter;
    /// # #[async_trait::async_trait]
    /// # impl Renderer for Painter {
    /// #     async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> { unreachable!() }
    /// #     async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> { unreachable!() }
    /// #     async fn cover(&self, _: Blob) -> Result<Option<Bytes>, AudioError> { Ok(Some("a JPEG".into())) }
    /// # }
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// # let service = builder.with_renderer(Arc::new(Painter)).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// match service.cover(Viewer::Anonymous.into(), song.id).await {
    ///     Ok(jpeg) => println!("a cover of {} bytes", jpeg.len()),
    ///     Err(ServiceError::NotFound { .. }) => println!("no cover"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # assert_eq!(service.cover(Viewer::Anonymous.into(), song.id).await?, "a JPEG");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`]; [`ServiceError::NotFound`] also if there is no cover, or if it is damaged or too large.
    pub async fn cover(&self, client: Client, id: SongId) -> Result<Bytes, ServiceError> {
        let song = self.with_cover(client.viewer, id).await?;
        found(self.tagged(client, BlobKey::Cover(*song.hash())).await?)
    }

    /// Returns the cover of a song if it is cached.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::cover`] except [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn known_cover(&self, viewer: Viewer, id: SongId) -> Result<Option<Bytes>, ServiceError> {
        let song = self.with_cover(viewer, id).await?;
        self.kept(&BlobKey::Cover(*song.hash())).await?.map(found).transpose()
    }

    /// Returns a song that may have a cover.
    async fn with_cover(&self, viewer: Viewer, id: SongId) -> Result<Song, ServiceError> {
        let song = self.with_part(viewer, id, Part::Song).await?;
        if song.facts().has_cover == Some(false) { Err(NO_COVER) } else { Ok(song) }
    }

    /// Returns the lyrics in the tags of a song's file, plain or in the LRC format; `None` if there are none. They are read on request and
    /// cached.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::sync::Arc;
    /// # use vocalizer_core::{account::*, memory::*, part::*, ports::*, service::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # struct Poet;
    /// # #[async_trait::async_trait]
    /// # impl Renderer for Poet {
    /// #     async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> { unreachable!() }
    /// #     async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> { unreachable!() }
    /// #     async fn lyrics(&self, _: Blob) -> Result<Option<String>, AudioError> { Ok(Some("[00:12.00]Votre âme".into())) }
    /// # }
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// # let service = builder.with_renderer(Arc::new(Poet)).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// let lyrics = service.lyrics(Viewer::Anonymous.into(), song.id).await?;
    /// println!("{}", lyrics.as_deref().unwrap_or("no lyrics"));
    /// # assert_eq!(lyrics.as_deref(), Some("[00:12.00]Votre âme"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`].
    pub async fn lyrics(&self, client: Client, id: SongId) -> Result<Option<String>, ServiceError> {
        let song = self.with_part(client.viewer, id, Part::Song).await?;
        let lyrics = self.tagged(client, BlobKey::Lyrics(*song.hash())).await?;
        Ok(text(lyrics))
    }

    /// Returns the lyrics of a song if they are cached.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::lyrics`] except [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn known_lyrics(&self, viewer: Viewer, id: SongId) -> Result<Option<String>, ServiceError> {
        let song = self.with_part(viewer, id, Part::Song).await?;
        Ok(self.kept(&BlobKey::Lyrics(*song.hash())).await?.and_then(text))
    }

    /// Returns what the tags of a song hold under this key; nothing if they lack it.
    async fn tagged(&self, client: Client, key: BlobKey) -> Result<Vec<u8>, ServiceError> {
        if let Some(bytes) = self.kept(&key).await? {
            return Ok(bytes);
        }
        let work = move |service: Self| async move { service.read_tags(key).await };
        let _pin = self.make(client.share(), key, work).await?;
        Ok(self.kept(&key).await?.unwrap_or_default())
    }

    /// Reads the tags and stores what they hold, or an empty file, so that they are not read again.
    async fn read_tags(&self, key: BlobKey) -> Result<(), ServiceError> {
        if self.ports().blobs.size_bytes(&key).await?.is_some() {
            return Ok(());
        }
        let (renderer, source) = (&self.ports().renderer, BlobKey::Source(*key.hash()));
        let source = self.ports().blobs.open(&source, None).await?.ok_or(ServiceError::NO_SONG)?;
        let bytes = match key {
            BlobKey::Lyrics(_) => renderer.lyrics(source).await?.map(String::into_bytes),
            _ => renderer.cover(source).await?.map(Into::into),
        };
        self.keep_bytes(key.hash(), &key, bytes.unwrap_or_default()).await
    }
}

/// Returns cached lyrics. Nothing is stored if there are none.
fn text(lyrics: Vec<u8>) -> Option<String> {
    String::from_utf8(lyrics).ok().filter(|lyrics| !lyrics.is_empty())
}

/// Returns a cached cover. Nothing is stored if there is none.
fn found(cover: Vec<u8>) -> Result<Bytes, ServiceError> {
    if cover.is_empty() { Err(NO_COVER) } else { Ok(cover.into()) }
}
