//! Core's `Separator` port, implemented with a model.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{AudioError, Blob, BlobError, Progress, Separator, StemSet};

use super::error;
use super::pool::{self, OnDrop};
use super::work::{self, WorkDir};
use crate::audio::{AudioFormat, Bitrate};
use crate::outputs::{Outputs, check_four};
use crate::{Cancel, Clip, Error, Listener, Model, SplitOptions, split_file_with};

/// Splits songs into the four standard stems: MP3 at a constant 320 kbit/s, as long as the song.
///
/// Further stems of the model are added to `other`, or are `other` if it has none. Dropping the future stops the work between two segments and removes
/// its files.
pub struct ModelSeparator {
    model: Arc<Model>,
    options: SplitOptions,
    work_dir: PathBuf,
    /// The error of a failed device.
    device_failure: watch::Sender<Option<String>>,
}

impl ModelSeparator {
    /// Creates a separator that works in this folder, which is created if it is missing. It takes from the options how to
    /// separate and read, and the limits. The rest is fixed: whole songs, stereo, no tags, and one common gain for the four
    /// stems if one of them would clip, so that they match each other.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for invalid options, for a model without the four standard stems ([`Self::check_stems`]), and
    /// without the feature `mp3`.
    pub fn new(model: Arc<Model>, options: SplitOptions, work_dir: impl Into<PathBuf>) -> Result<Self, Error> {
        if !cfg!(feature = "mp3") {
            return Err(Error::Options("this build lacks the feature mp3, which writes the stems".into()));
        }
        let format = AudioFormat::Mp3(Bitrate::Cbr(320));
        let SplitOptions { separation, read, limits, .. } = options;
        let options = SplitOptions {
            separation,
            read,
            limits,
            four_stems: true,
            format,
            clip: Some(Clip::Common),
            tags: false,
            ..SplitOptions::default()
        };
        options.check()?;
        Outputs::plan(&model, &options)?;
        Ok(Self { model, options, work_dir: work_dir.into(), device_failure: watch::Sender::new(None) })
    }

    /// Checks that a model with these stems can be used, for a check before it is loaded
    /// ([`Model::stems_of_file`]).
    ///
    /// # Errors
    ///
    /// [`Error::Options`] names the stems that are missing.
    pub fn check_stems(stems: &[Stem]) -> Result<(), Error> {
        check_four(stems)
    }

    /// Waits until a device fails and returns the error. The driver's state is unknown then: the process may fail at
    /// every other song, and should be restarted.
    pub fn device_failure(&self) -> impl Future<Output = String> + Send + 'static {
        let mut failure = self.device_failure.subscribe();
        async move {
            match failure.wait_for(Option::is_some).await.map(|why| why.clone()) {
                Ok(Some(why)) => why,
                // The separator was dropped; it cannot fail any more.
                _ => std::future::pending().await,
            }
        }
    }
}

#[async_trait]
impl Separator for ModelSeparator {
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        let dir = WorkDir::create(&self.work_dir).await?;
        let song = dir.spool(song, "song").await?;
        let (model, options) = (Arc::clone(&self.model), self.options.clone());
        let cancel = Cancel::default();
        let _cancel_on_drop = OnDrop({
            let cancel = cancel.clone();
            move || cancel.cancel()
        });
        let failed = self.device_failure.clone();
        pool::run(move || {
            let stems = dir.path().join(STEMS);
            let mut percent = Percent { progress, reported: None };
            percent.update(0);
            let report = split_file_with(&model, &song, &stems, &options, &mut percent, &cancel).map_err(|error| {
                if let Error::Device { .. } = error {
                    failed.send_replace(Some(error.to_string()));
                }
                error::split(error)
            })?;
            // The source is no longer needed, and the stems may wait a while for delivery.
            std::fs::remove_file(&song).map_err(error::io)?;
            percent.update(100);
            let duration = Duration::try_from_secs_f64(report.seconds).ok();
            Ok(Box::new(StemDir { dir, duration }) as Box<dyn StemSet>)
        })
        .await
    }
}

/// Name of the stems' folder in the job folder.
const STEMS: &str = "stems";

/// Reports progress to core, each percent once. 100 is reported when the stems are complete.
struct Percent {
    progress: Arc<dyn Progress>,
    reported: Option<u8>,
}

impl Percent {
    fn update(&mut self, percent: u8) {
        if self.reported.is_none_or(|reported| reported < percent) {
            self.reported = Some(percent);
            self.progress.report(percent);
        }
    }
}

impl Listener for Percent {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 99")]
    fn progress(&mut self, done_s: f64, total_s: f64) {
        self.update((100.0 * done_s / total_s).clamp(0.0, 99.0) as u8);
    }
}

/// The stems of a song, in its job folder.
struct StemDir {
    dir: Arc<WorkDir>,
    duration: Option<Duration>,
}

#[async_trait]
impl StemSet for StemDir {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let path = self.dir.path().join(STEMS).join(format!("{stem}.mp3"));
        work::blob(&path, &self.dir).map_err(|e| BlobError::Unavailable(e.into()))
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }
}
