//! Stems in any audio format.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_api::Provenance;

use crate::models::ModelName;
use crate::part::{Format, Stem, StemFormats};
use crate::ports::{AudioError, Blob, BlobError, Progress, Renderer, Separator, StemSet};

/// A [`Separator`] whose stems may have any format that a [`Renderer`] reads, such as WAV or FLAC. It encodes them as
/// MP3 or FLAC, when they are delivered.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # use async_trait::async_trait;
/// # use bytes::Bytes;
/// # use vocalizer_core::{part::*, ports::*, worker::*};
/// # struct WavModel;
/// # #[async_trait]
/// # impl Separator for WavModel {
/// #     async fn separate(&self, _: Blob, _: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
/// #         let wav = Bytes::from_static(b"RIFF");
/// #         Ok(Box::new(Stems { drums: wav.clone(), bass: wav.clone(), other: wav.clone(), vocals: wav }))
/// #     }
/// # }
/// # struct Mp3Encoder;
/// # #[async_trait]
/// # impl Renderer for Mp3Encoder {
/// #     async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
/// #         Ok(Bytes::from_static(b"ID3").into())
/// #     }
/// #     async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> { Ok(Peaks::new(44_100)) }
/// # }
/// # let song = Blob::from(Bytes::from_static(b"the file"));
/// // `WavModel` is a `Separator` whose stems are WAV files.
/// let separator = EncodedSeparator::new(WavModel, Arc::new(Mp3Encoder));
/// let stems = separator.separate(song, Arc::new(())).await?;
/// let mut vocals = stems.open(Stem::VOCALS).await?;
/// assert_eq!(vocals.next_chunk().await?.as_deref(), Some(&b"ID3"[..]));
/// # Ok(())
/// # }
/// ```
pub struct EncodedSeparator<S> {
    separator: S,
    renderer: Arc<dyn Renderer>,
    formats: StemFormats,
}

impl<S: Separator> EncodedSeparator<S> {
    /// Encodes the stems of this separator with this renderer as MP3.
    pub fn new(separator: S, renderer: Arc<dyn Renderer>) -> Self {
        Self { separator, renderer, formats: StemFormats::Mp3 }
    }

    /// Sets the formats to deliver.
    #[must_use]
    pub fn with_formats(self, formats: StemFormats) -> Self {
        Self { formats, ..self }
    }
}

#[async_trait]
impl<S: Separator> Separator for EncodedSeparator<S> {
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.separate_with(None, song, progress).await
    }

    async fn separate_with(
        &self,
        model: Option<ModelName>,
        song: Blob,
        progress: Arc<dyn Progress>,
    ) -> Result<Box<dyn StemSet>, AudioError> {
        let stems = self.separator.separate_with(model, song, progress).await?;
        Ok(Box::new(EncodedStems { stems, renderer: Arc::clone(&self.renderer), formats: self.formats }))
    }
}

struct EncodedStems {
    stems: Box<dyn StemSet>,
    renderer: Arc<dyn Renderer>,
    formats: StemFormats,
}

#[async_trait]
impl StemSet for EncodedStems {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        self.open_as(stem, Format::Mp3).await
    }

    async fn open_as(&self, stem: Stem, format: Format) -> Result<Blob, BlobError> {
        let file = self.stems.open(stem).await?;
        let encoded = self.renderer.render(vec![file], format).await;
        encoded.map_err(|error| match error {
            AudioError::Full => BlobError::Full,
            error => BlobError::Unavailable(error.into()),
        })
    }

    fn stems(&self) -> Vec<Stem> {
        self.stems.stems()
    }

    fn formats(&self) -> StemFormats {
        self.formats
    }

    fn provenance(&self) -> Option<&Provenance> {
        self.stems.provenance()
    }

    fn duration(&self) -> Option<Duration> {
        self.stems.duration()
    }
}
