//! Other formats of what is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Peaks, Renderer, Track};

use super::error;
use super::mix::Mix;
use super::pool::{self, OnDrop, Turns};
use super::work::{self, WorkDir};
use crate::audio::{AudioFormat, AudioLimits, Bitrate, StemWriter};

/// The rate of an MP3 where the source's own is none that MP3 has at 320 kbit/s.
const MP3_HZ: u32 = 44_100;

/// Decodes, adds up and encodes: MP3 at a constant 320 kbit/s, WAV and FLAC with 16 bits.
///
/// Files of different rates are brought to that of the first, and where MP3 has it not, to 44,100 Hz. What exceeds full
/// scale is cut there. When the future is dropped, the work ends with the block it is at.
#[derive(Debug, Clone)]
pub struct AudioRenderer {
    work_dir: PathBuf,
    limits: AudioLimits,
    turns: Turns,
}

impl AudioRenderer {
    /// A renderer that works in this folder, which is made where it is missing, on as many renditions at once as there
    /// are cores.
    #[must_use]
    pub fn new(work_dir: impl Into<PathBuf>, limits: AudioLimits) -> Self {
        Self { work_dir: work_dir.into(), limits, turns: Turns::default() }
    }

    /// Works on so many renditions at once, at least one.
    #[must_use]
    pub fn with_at_once(mut self, at_once: usize) -> Self {
        self.turns = Turns::new(at_once);
        self
    }
}

#[async_trait]
impl Renderer for AudioRenderer {
    async fn mix(&self, tracks: Vec<Track>, format: Format) -> Result<Blob, AudioError> {
        self.work(tracks, move |files, limits, dir, stop| {
            let target = dir.path().join("rendition");
            let rendered = render(files, &target, format, limits, stop);
            // They are no longer needed, and the rendition may wait a while for its delivery.
            files.iter().for_each(|(file, _)| drop(std::fs::remove_file(file)));
            rendered?;
            work::blob(&target, dir).map_err(error::io)
        })
        .await
    }

    async fn peaks(&self, files: Vec<Blob>) -> Result<Peaks, AudioError> {
        let tracks = files.into_iter().map(|file| (file, 1.0)).collect();
        self.work(tracks, |files, limits, _, stop| {
            let mut mix = Mix::open(files, limits, |rate_hz| rate_hz)?;
            let mut peaks = Peaks::new(mix.rate_hz);
            loop {
                wanted(stop)?;
                let frames = mix.next()?;
                if frames.is_empty() {
                    return Ok(peaks);
                }
                peaks.extend(frames.iter().map(|[left, right]| left.abs().max(right.abs())));
            }
        })
        .await
    }
}

impl AudioRenderer {
    /// Lays files into a folder of work and does something with them there, in turn.
    async fn work<T: Send + 'static>(
        &self,
        tracks: Vec<Track>,
        work: impl FnOnce(&[(PathBuf, f32)], &AudioLimits, &Arc<WorkDir>, &AtomicBool) -> Result<T, AudioError>
        + Send
        + 'static,
    ) -> Result<T, AudioError> {
        // Before anything is written: those who wait take no room.
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

/// An error when nobody waits for the work any more.
fn wanted(stop: &AtomicBool) -> Result<(), AudioError> {
    if stop.load(Ordering::Relaxed) {
        return Err(AudioError::Failed("nobody waits for it any more".into()));
    }
    Ok(())
}

fn render(
    files: &[(PathBuf, f32)],
    target: &Path,
    format: Format,
    limits: &AudioLimits,
    stop: &AtomicBool,
) -> Result<(), AudioError> {
    let format = match format {
        Format::Mp3 => AudioFormat::Mp3(Bitrate::Cbr(320)),
        Format::Wav => AudioFormat::Wav16,
        Format::Flac => AudioFormat::Flac,
    };
    let mut mix = Mix::open(files, limits, |rate_hz| if format.has_rate(rate_hz) { rate_hz } else { MP3_HZ })?;
    let mut writer = StemWriter::create(target, format, mix.rate_hz).map_err(error::encode)?;
    writer.check_length(mix.stated_frames).map_err(error::encode)?;
    loop {
        wanted(stop)?;
        let frames = mix.next()?;
        if frames.is_empty() {
            return writer.finish().map_err(error::encode);
        }
        writer.write(frames).map_err(error::encode)?;
    }
}
