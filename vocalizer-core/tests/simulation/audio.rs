//! Fake audio: a slow separator that sometimes fails, a probe and a renderer.
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _, TryStreamExt as _, try_unfold};
use vocalizer_core::part::{Format, Stem};
use vocalizer_core::ports::{
    AudioError, AudioFacts, AudioProbe, Blob, BlobError, BlobStore, BlobStream, LocalRead, Peaks, Progress, Received,
    Renderer, ResultError, ResultReader, Separator, StemFile, StemSet, Stems, Track,
};
use vocalizer_core::song::SongHash;

use super::broker::Broker;
use super::calls::CallError;
use super::kernel::Kernel;
use super::plan::{HOUR, SECOND};

/// Returns the bytes of a stem: its content and the attempt that made it.
fn stem(stem: Stem, content: usize, attempt: u64) -> Bytes {
    Bytes::from(format!("{stem} of {content} by {attempt}"))
}

/// Parses the bytes of a stem; `None` if it is not this stem.
pub(crate) fn parse_stem(bytes: &[u8], stem: Stem) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (content, attempt) = text.strip_prefix(&format!("{stem} of "))?.split_once(" by ")?;
    Some((content.parse().ok()?, attempt.parse().ok()?))
}

/// Reads a whole stream; `None` if it fails.
pub(crate) async fn read_all(bytes: impl Stream<Item = Result<Bytes, BlobError>>) -> Option<Bytes> {
    let chunks: Vec<_> = bytes.try_collect().await.ok()?;
    Some(chunks.concat().into())
}

/// Returns a stream of bytes over the network, which may be interrupted.
pub(crate) fn network_stream(kernel: Arc<Kernel>, bytes: Bytes) -> BlobStream {
    try_unfold((kernel, bytes), |(kernel, mut left)| async move {
        kernel.pause().await;
        if kernel.is_cut(kernel.current().1) || kernel.fault(kernel.plan.rates.response_lost) {
            kernel.cover("download interrupted");
            return Err(BlobError::Unavailable(Box::new(CallError("download interrupted"))));
        }
        let chunk = left.split_to(left.len().min(40));
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()).map(|chunk| (chunk, (kernel, left))))
    })
    .boxed()
}

pub(crate) struct SlowSeparator {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) broker: Arc<Broker>,
}

impl SlowSeparator {
    /// Counts this attempt as spent.
    fn spend(&self) {
        let (_, process, _) = self.kernel.current();
        self.broker.spend(process);
    }
}

#[async_trait]
impl Separator for SlowSeparator {
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        let kernel = &self.kernel;
        // To a separator every read error is a failure.
        let bytes =
            read_all(song).await.ok_or_else(|| AudioError::Failed(Box::new(CallError("reading the song failed"))))?;
        let content = kernel.plan.content(&SongHash::of(&bytes));
        let fails = kernel.fault(kernel.plan.rates.separation);
        let hangs = fails && kernel.one_in(10);
        let length_us = kernel.between(SECOND / 10, kernel.plan.longest_split_us);
        for quarter in 1..=4 {
            kernel.sleep(length_us / 4).await;
            progress.report(quarter * 25);
            if fails && kernel.one_in(3) {
                break;
            }
        }
        if kernel.plan.contents[content].unsplittable {
            return Err(AudioError::Malformed { what: "unsplittable".to_owned() });
        }
        if hangs {
            kernel.cover("separation hung");
            self.spend();
            kernel.sleep(HOUR).await;
        }
        if fails {
            kernel.cover("separation failed");
            self.spend();
            return Err(AudioError::Failed(Box::new(CallError("device lost"))));
        }
        let attempt = kernel.steps();
        let made = |which| stem(which, content, attempt);
        Ok(Box::new(Stems {
            drums: made(Stem::DRUMS),
            bass: made(Stem::BASS),
            other: made(Stem::OTHER),
            vocals: made(Stem::VOCALS),
        }))
    }
}

pub(crate) struct FakeAudio(pub(crate) Arc<Kernel>);

#[async_trait]
impl AudioProbe for FakeAudio {
    async fn probe(&self, _: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        self.0.pause().await;
        if self.0.fault(self.0.plan.rates.refused) {
            return Err(AudioError::Failed(Box::new(CallError("probe unavailable"))));
        }
        Ok(AudioFacts { format: "mp3".to_owned(), rate_hz: 44_100, channels: 2, ..AudioFacts::default() })
    }
}

#[async_trait]
impl Renderer for FakeAudio {
    async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
        Ok(Peaks::new(44_100))
    }

    async fn mix(&self, tracks: Vec<Track>, _format: Format) -> Result<Blob, AudioError> {
        let mut sum = Vec::new();
        for (part, _) in tracks {
            self.0.pause().await;
            sum.extend_from_slice(&read_all(part).await.unwrap_or_default());
        }
        Ok(Blob::from(Bytes::from(sum)))
    }
}

/// An archive contains the content of its stems and the attempt that made them.
#[async_trait]
impl ResultReader for FakeAudio {
    async fn read(&self, archive: BlobStream, blobs: &dyn BlobStore) -> Result<Received, ResultError> {
        let bytes = read_all(archive)
            .await
            .ok_or_else(|| ResultError::Interrupted(Box::new(CallError("upload interrupted"))))?;
        let malformed = || ResultError::Malformed { what: "no stems".to_owned() };
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let (content, attempt) = text.split_once(" by ").ok_or_else(malformed)?;
        let content = content.parse().map_err(|_| malformed())?;
        let attempt = attempt.parse().map_err(|_| malformed())?;
        let mut received = Received::default();
        for which in Stem::FOUR {
            let mut writer = blobs.begin().await?;
            writer.write(stem(which, content, attempt)).await?;
            received.files.push(StemFile { stem: which, format: Format::Mp3, writer });
        }
        Ok(received)
    }
}
