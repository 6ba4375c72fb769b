//! Core's `Separator` port, implemented with a model.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rayon::prelude::*;
use tokio::sync::watch;
use vocalizer_core::api::Provenance;
use vocalizer_core::part::{Format, Stem, StemFormats};
use vocalizer_core::ports::{AudioError, Blob, BlobError, Progress, Separator, StemSet};

use super::error;
use super::pool::{self, OnDrop};
use super::render::{FULL_MP3, encode};
use super::work::{self, WorkDir};
use crate::audio::{AudioFormat, AudioLimits};
use crate::outputs::{Outputs, check_four};
use crate::{Cancel, Clip, Error, Listener, Model, SplitOptions, split_file_with};

/// Splits songs into the four standard stems, as long as the song: MP3 at a constant 320 kbit/s, FLAC or both. MP3 is made
/// from FLAC then.
///
/// Further stems of the model are added to `other`, or are `other` if it has none, unless [all](Self::with_all_stems) are
/// wanted. Dropping the future stops the work between two segments and removes
/// its files.
pub struct ModelSeparator {
    model: Arc<Model>,
    options: SplitOptions,
    work_dir: PathBuf,
    stems: Vec<Stem>,
    formats: StemFormats,
    provenance: Option<Provenance>,
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
        Self::with_stems(model, options, work_dir, Some(Stem::FOUR.to_vec()))
    }

    /// Like [`Self::new`], for all stems of the model, whichever these are.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`], except for missing stems.
    pub fn with_all_stems(
        model: Arc<Model>,
        options: SplitOptions,
        work_dir: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        Self::with_stems(model, options, work_dir, None)
    }

    fn with_stems(
        model: Arc<Model>,
        options: SplitOptions,
        work_dir: impl Into<PathBuf>,
        four: Option<Vec<Stem>>,
    ) -> Result<Self, Error> {
        if !cfg!(feature = "mp3") {
            return Err(Error::Options("this build lacks the feature mp3, which writes the stems".into()));
        }
        let format = FULL_MP3;
        let SplitOptions { separation, read, limits, .. } = options;
        let options = SplitOptions {
            separation,
            read,
            limits,
            four_stems: four.is_some(),
            format,
            clip: Some(Clip::Common),
            tags: false,
            ..SplitOptions::default()
        };
        options.check()?;
        Outputs::plan(&model, &options)?;
        let stems = four.unwrap_or_else(|| model.sources().to_vec());
        let (work_dir, device_failure) = (work_dir.into(), watch::Sender::new(None));
        Ok(Self { model, options, work_dir, stems, formats: StemFormats::Mp3, provenance: None, device_failure })
    }

    /// Sets the formats of the stems, and of FLAC the depth: 24 bits or 16. Default: MP3.
    #[must_use]
    pub fn with_formats(mut self, formats: StemFormats, has_24_bits: bool) -> Self {
        self.formats = formats;
        self.options.format = match (formats.is_lossless(), has_24_bits) {
            (false, _) => FULL_MP3,
            (true, false) => AudioFormat::Flac,
            (true, true) => AudioFormat::Flac24,
        };
        self
    }

    /// Sets the provenance of the stems. Time and speed are added for each song.
    #[must_use]
    pub fn with_provenance(self, provenance: Provenance) -> Self {
        Self { provenance: Some(provenance), ..self }
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
        let (names, formats, mut provenance) = (self.stems.clone(), self.formats, self.provenance.clone());
        let (cancel, stop) = (Cancel::default(), Arc::new(AtomicBool::new(false)));
        let _cancel_on_drop = OnDrop({
            let (cancel, stop) = (cancel.clone(), Arc::clone(&stop));
            move || {
                cancel.cancel();
                stop.store(true, Ordering::Relaxed);
            }
        });
        let failed = self.device_failure.clone();
        pool::run(move || {
            let stems = dir.path().join(STEMS);
            let mut percent = Percent { progress, reported: None };
            percent.update(0);
            let began = Instant::now();
            let report = split_file_with(&model, &song, &stems, &options, &mut percent, &cancel).map_err(|error| {
                if let Error::Device { .. } = error {
                    failed.send_replace(Some(error.to_string()));
                }
                error::split(error)
            })?;
            let duration = Duration::try_from_secs_f64(report.seconds).ok();
            if let (Some(provenance), Some(duration)) = (&mut provenance, duration) {
                provenance.measure(duration, began.elapsed());
            }
            // The source is no longer needed, and the stems may wait a while for delivery.
            std::fs::remove_file(&song).map_err(error::io)?;
            if formats.has(Format::Mp3) {
                names.par_iter().try_for_each(|&stem| mp3(&stems, stem, &options.limits, &stop).map(drop))?;
            }
            percent.update(100);
            let limits = options.limits;
            Ok(Box::new(StemDir { dir, names, duration, formats, provenance, limits }) as Box<dyn StemSet>)
        })
        .await
    }
}

/// Returns the MP3 of a stem. Makes it from FLAC unless it is there.
fn mp3(stems: &Path, stem: Stem, limits: &AudioLimits, stop: &AtomicBool) -> Result<PathBuf, AudioError> {
    let mp3 = stems.join(format!("{stem}.mp3"));
    if !mp3.exists() {
        let flac = stems.join(format!("{stem}.flac"));
        encode(&[(flac, 1.0)], &mp3, |_| FULL_MP3, limits, stop)?;
    }
    Ok(mp3)
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
    names: Vec<Stem>,
    duration: Option<Duration>,
    formats: StemFormats,
    provenance: Option<Provenance>,
    limits: AudioLimits,
}

#[async_trait]
impl StemSet for StemDir {
    fn stems(&self) -> Vec<Stem> {
        self.names.clone()
    }

    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let (dir, limits) = (Arc::clone(&self.dir), self.limits);
        let made = pool::run(move || mp3(&dir.path().join(STEMS), stem, &limits, &AtomicBool::new(false))).await;
        let path = made.map_err(|error| match error {
            AudioError::Full => BlobError::Full,
            error => BlobError::Unavailable(error.into()),
        })?;
        work::blob(&path, &self.dir).map_err(|e| BlobError::Unavailable(e.into()))
    }

    async fn open_as(&self, stem: Stem, format: Format) -> Result<Blob, BlobError> {
        if format == Format::Mp3 {
            return self.open(stem).await;
        }
        let path = self.dir.path().join(STEMS).join(format!("{stem}.{format}"));
        work::blob(&path, &self.dir).map_err(|e| BlobError::Unavailable(e.into()))
    }

    fn formats(&self) -> StemFormats {
        self.formats
    }

    fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }
}
