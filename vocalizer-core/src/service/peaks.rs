//! The peaks of a part, for drawing its waveform.

use super::ServiceError;
use super::parts::{place, sources};
use super::songs::SongService;
use crate::account::{Client, Viewer};
use crate::part::Part;
use crate::ports::{BlobKey, Peaks};
use crate::song::{SongHash, SongId};

impl SongService {
    /// Returns the peaks of a part for drawing its waveform, all of it or [a section](Peaks::section). They are computed
    /// on request and cached, like other formats.
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
    /// let peaks = service.peaks(Viewer::Anonymous.into(), song.id, Part::Vocals).await?;
    /// let seconds = peaks.frames() as f64 / f64::from(peaks.rate_hz());
    /// println!("{} values for {seconds} s", peaks.values().len());
    /// # assert_eq!(peaks.values(), [255, 255]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`].
    pub async fn peaks(&self, client: Client, id: SongId, part: Part) -> Result<Peaks, ServiceError> {
        let song = self.with_part(client.viewer, id, part).await?;
        let key = BlobKey::Peaks(place(&song, part), part);
        if let Some(peaks) = self.kept_peaks(&key).await? {
            return Ok(peaks);
        }
        let (hash, sources) = (*song.hash(), sources(&song, part));
        let work = move |service: Self| async move { service.draw(hash, key, sources).await };
        let _pin = self.make(client.share(), key, work).await?;
        match self.kept_peaks(&key).await? {
            Some(peaks) => Ok(peaks),
            None => Err(self.missing(id, key).await?),
        }
    }

    /// Computes and stores peaks.
    async fn draw(&self, hash: SongHash, key: BlobKey, sources: Vec<BlobKey>) -> Result<(), ServiceError> {
        if self.kept_peaks(&key).await?.is_some() {
            return Ok(());
        }
        let peaks = self.ports().renderer.peaks(self.open_all(sources).await?).await?;
        self.keep_bytes(&hash, &key, peaks.to_bytes()).await
    }

    /// Returns the peaks of a part if they are cached.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`] except [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn known_peaks(&self, viewer: Viewer, id: SongId, part: Part) -> Result<Option<Peaks>, ServiceError> {
        let song = self.with_part(viewer, id, part).await?;
        self.kept_peaks(&BlobKey::Peaks(place(&song, part), part)).await
    }

    /// Returns the cached peaks, if they can be read and are fine enough.
    async fn kept_peaks(&self, key: &BlobKey) -> Result<Option<Peaks>, ServiceError> {
        Ok(self.kept(key).await?.and_then(|bytes| Peaks::from_bytes(&bytes)).filter(Peaks::is_fine))
    }
}
