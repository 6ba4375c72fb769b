//! Fakes of what needs audio code.
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use vocalizer_core::api::{Analysis, Key, Mode, Tempo, Tonic};
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Peaks, Progress, Renderer, Separator, StemSet, Stems, Track};

/// Splits any song into short texts.
pub(crate) struct FakeSeparator {
    /// Whether songs stay in the middle of their separation.
    pub(crate) held: watch::Sender<bool>,
    /// Why the next songs fail, in order.
    pub(crate) failures: Mutex<Vec<String>>,
}

impl FakeSeparator {
    pub(crate) fn new() -> Self {
        Self { held: watch::Sender::new(false), failures: Mutex::default() }
    }
}

#[async_trait]
impl Separator for FakeSeparator {
    async fn separate(&self, _: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        progress.report(50);
        let mut held = self.held.subscribe();
        let _ = held.wait_for(|held| !held).await;
        let failure = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(what) = failure {
            return Err(AudioError::Malformed { what });
        }
        progress.report(100);
        let stem = |name: &str| Bytes::from(format!("fake {name}"));
        Ok(Box::new(Stems { drums: stem("drums"), bass: stem("bass"), other: stem("other"), vocals: stem("vocals") }))
    }
}

/// Renders any files as a short text, hears the same tempo and key in all songs, and reads the same cover and lyrics.
pub(crate) struct FakeRenderer;

#[async_trait]
impl Renderer for FakeRenderer {
    async fn mix(&self, tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError> {
        Ok(Bytes::from(format!("fake {format} of {} files", tracks.len())).into())
    }

    async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
        let mut peaks = Peaks::new(44_100);
        peaks.extend([0.0, 0.5, 1.0].into_iter());
        Ok(peaks)
    }

    async fn cover(&self, _: Blob) -> Result<Option<Bytes>, AudioError> {
        Ok(Some("fake cover".into()))
    }

    async fn lyrics(&self, _: Blob) -> Result<Option<String>, AudioError> {
        Ok(Some("[00:01.00]fake lyrics".to_owned()))
    }

    async fn analyse(&self, _: Blob) -> Result<Analysis, AudioError> {
        Ok(Analysis::new(Some(Tempo::new(120.0, 0.9, 250)), Some(Key::new(Tonic::FSharp, Mode::Minor, 0.8))))
    }
}
