//! Core's `Renderer` port: converts stored audio to other formats.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
#[cfg(feature = "tags")]
use bytes::Bytes;
use vocalizer_core::api::Analysis;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Peaks, Renderer, Track};

use super::error;
use super::mix::Mix;
use super::pool::{self, OnDrop, Turns};
use super::work::{self, WorkDir};
#[cfg(feature = "tags")]
use crate::audio::SongTags;
use crate::audio::analysis::Analyzer;
use crate::audio::{AudioFormat, AudioLimits, AudioReader, Bitrate, StemWriter, WriteOptions};

/// Sample rate of an MP3 if MP3 does not support the source's rate at 320 kbit/s.
const MP3_HZ: u32 = 44_100;

/// An MP3 at full quality.
pub(super) const FULL_MP3: AudioFormat = AudioFormat::Mp3(Bitrate::Cbr(320));

/// A preview: the lowest bitrate at 44,100 Hz with which LAME writes the length, without which players cannot find a
/// position.
const PREVIEW_MP3: AudioFormat = AudioFormat::Mp3(Bitrate::Cbr(64));

/// Decodes, mixes, analyses and encodes audio: MP3 at a constant 320 kbit/s (previews at 64), WAV and FLAC in 24 bits if a
/// source has more than 16, else in 16 bits.
///
/// Resamples all files to the rate of the first, or to 44,100 Hz if MP3 does not support that rate. Clamps at full
/// scale. Dropping the future stops the work at the end of the current block.
#[derive(Debug, Clone)]
pub struct AudioRenderer {
    work_dir: PathBuf,
    limits: AudioLimits,
    turns: Turns,
}

impl AudioRenderer {
    /// Creates a renderer that works in this folder, which is created if it is missing, and runs as many jobs at once
    /// as there are cores.
    #[must_use]
    pub fn new(work_dir: impl Into<PathBuf>, limits: AudioLimits) -> Self {
        Self { work_dir: work_dir.into(), limits, turns: Turns::default() }
    }

    /// Sets the number of concurrent jobs, at least one.
    #[must_use]
    pub fn with_at_once(mut self, at_once: usize) -> Self {
        self.turns = Turns::new(at_once);
        self
    }
}

#[async_trait]
impl Renderer for AudioRenderer {
    async fn mix(&self, tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError> {
        self.encoded(tracks, move |is_deep| audio_format(format, is_deep)).await
    }

    async fn preview(&self, files: Vec<Blob>) -> Result<Blob, AudioError> {
        let tracks = files.into_iter().map(|file| (file, 1.0)).collect();
        self.encoded(tracks, |_| PREVIEW_MP3).await
    }

    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError> {
        let tracks = files.into_iter().map(|file| (file, 1.0)).collect();
        self.work(tracks, |files, limits, _, stop| {
            let mut mix = Mix::open(files, limits, |rate_hz| rate_hz)?;
            let mut peaks = Peaks::new(mix.rate_hz);
            loop {
                check_cancelled(stop)?;
                let frames = mix.next()?;
                if frames.is_empty() {
                    return Ok(peaks);
                }
                peaks.extend(frames.iter().map(|[left, right]| left.abs().max(right.abs())));
            }
        })
        .await
    }

    async fn analyse(&self, song: Blob) -> Result<Analysis, AudioError> {
        self.work(vec![(song, 1.0)], |files, limits, _, stop| {
            let [(file, _)] = files else { return Err(AudioError::Failed("one file to analyse".into())) };
            let mut song = AudioReader::open(file, limits).map_err(error::decode)?;
            let mut analyzer = Analyzer::new(song.info().rate_hz).map_err(error::resample)?;
            let mut frames = Vec::new();
            while !analyzer.is_complete() && song.read(&mut frames).map_err(error::decode)? {
                check_cancelled(stop)?;
                analyzer.push(&frames).map_err(error::resample)?;
                frames.clear();
            }
            analyzer.finish().map_err(error::resample)
        })
        .await
    }

    #[cfg(feature = "tags")]
    async fn lyrics(&self, song: Blob) -> Result<Option<String>, AudioError> {
        self.work(vec![(song, 1.0)], |files, _, _, _| {
            Ok(files.first().and_then(|(file, _)| SongTags::read(file).lyrics))
        })
        .await
    }

    #[cfg(feature = "tags")]
    async fn cover(&self, song: Blob) -> Result<Option<Bytes>, AudioError> {
        self.work(vec![(song, 1.0)], |files, _, _, _| {
            Ok(files.first().and_then(|(file, _)| super::cover::cover(file)).map(Bytes::from))
        })
        .await
    }
}

impl AudioRenderer {
    /// Mixes and encodes files in the format that the function returns, which gets whether a source has more than 16 bits.
    async fn encoded(
        &self,
        tracks: Vec<Track>,
        format: impl Fn(bool) -> AudioFormat + Send + 'static,
    ) -> Result<Blob, AudioError> {
        self.work(tracks, move |files, limits, dir, stop| {
            let target = dir.path().join("rendition");
            let rendered = encode(files, &target, &format, limits, stop);
            // The sources are no longer needed, and the rendition may wait a while for delivery.
            files.iter().for_each(|(file, _)| drop(std::fs::remove_file(file)));
            rendered?;
            work::blob(&target, dir).map_err(error::io)
        })
        .await
    }

    /// Writes the files into a job folder and runs `work` on them, when a permit is free.
    async fn work<T: Send + 'static>(
        &self,
        tracks: Vec<Track>,
        work: impl FnOnce(&[(PathBuf, f32)], &AudioLimits, &Arc<WorkDir>, &AtomicBool) -> Result<T, AudioError>
        + Send
        + 'static,
    ) -> Result<T, AudioError> {
        // Taken before anything is written: waiting jobs use no disk space.
        let turn = self.turns.take().await?;
        let dir = WorkDir::create(&self.work_dir).await?;
        let mut files = Vec::new();
        for (index, (blob, gain)) in tracks.into_iter().enumerate() {
            files.push((dir.spool(blob, &format!("source-{index}")).await?, gain));
        }
        let limits = self.limits;
        let stop = Arc::new(AtomicBool::new(false));
        let _stop_on_drop = OnDrop({
            let stop = Arc::clone(&stop);
            move || stop.store(true, Ordering::Relaxed)
        });
        pool::run(move || {
            let _turn = turn;
            work(&files, &limits, &dir, &stop)
        })
        .await
    }
}

/// Fails if the job was cancelled.
fn check_cancelled(stop: &AtomicBool) -> Result<(), AudioError> {
    if stop.load(Ordering::Relaxed) {
        return Err(AudioError::Failed("the job was cancelled".into()));
    }
    Ok(())
}

/// Returns how a format is written: with 24 bits if a source has more than 16.
const fn audio_format(format: Format, is_deep: bool) -> AudioFormat {
    match (format, is_deep) {
        (Format::Mp3, _) => FULL_MP3,
        (Format::Wav, false) => AudioFormat::Wav16,
        (Format::Wav, true) => AudioFormat::Wav24,
        (Format::Flac, false) => AudioFormat::Flac,
        (Format::Flac, true) => AudioFormat::Flac24,
    }
}

/// Mixes files and writes the mix in the format that the function returns, which gets whether a source has more than
/// 16 bits. Ends early when `stop` is set.
pub(super) fn encode(
    files: &[(PathBuf, f32)],
    target: &Path,
    format: impl Fn(bool) -> AudioFormat,
    limits: &AudioLimits,
    stop: &AtomicBool,
) -> Result<(), AudioError> {
    // Whether a format is MP3 does not depend on the sources, and every MP3 of a song has the same rate.
    let of = if matches!(format(false), AudioFormat::Mp3(_)) { FULL_MP3 } else { format(false) };
    let mut mix = Mix::open(files, limits, |rate_hz| if of.has_rate(rate_hz) { rate_hz } else { MP3_HZ })?;
    let format = format(mix.is_deep);
    let mut options = WriteOptions::default();
    // A user with a slow connection waits for it.
    options.fast = format == PREVIEW_MP3;
    let mut writer = StemWriter::create_with(target, format, mix.rate_hz, &options).map_err(error::encode)?;
    writer.check_length(mix.stated_frames).map_err(error::encode)?;
    loop {
        check_cancelled(stop)?;
        let frames = mix.next()?;
        if frames.is_empty() {
            return writer.finish().map_err(error::encode);
        }
        writer.write(frames).map_err(error::encode)?;
    }
}
