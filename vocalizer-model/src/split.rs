//! Splits an audio file into stem files.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::audio::{AudioLimits, AudioReader, Frame, Resampler, scaled};
use crate::outputs::Outputs;
use crate::separation::SongStatistics;
use crate::sink::StemSink;
use crate::statistics::Statistics;
use crate::{Cancel, Error, Model, Profile, Separation, SplitOptions};

/// The result of splitting a song.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The files, in the model's order of stems.
    pub files: Vec<PathBuf>,
    /// Length of the song, and of each file, in frames at `rate_hz`.
    pub frames: u64,
    /// Sample rate of the files in Hz.
    pub rate_hz: u32,
    /// Length of the song in seconds.
    pub seconds: f64,
    /// The costs of the segments, if [`SplitOptions::profile`] is set.
    pub profile: Option<Profile>,
}

/// A stage of splitting a song.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Measures length and loudness.
    Reading,
    /// Runs the network.
    Separating,
    /// Writes the last frames and finishes the files.
    Writing,
}

/// Receives the progress of a song.
pub trait Listener {
    /// A stage starts.
    fn stage(&mut self, _stage: Stage) {}
    /// This many seconds of the song, of the total, are separated.
    fn progress(&mut self, _done_s: f64, _total_s: f64) {}
    /// A stem's file is complete.
    fn stem_written(&mut self, _path: &Path) {}
}

/// A listener that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {}

/// Splits `input` into files in the folder `out_dir`, which is created if it is missing.
///
/// # Errors
///
/// See [`split_file_with`].
pub fn split_file(model: &Model, input: &Path, out_dir: &Path, options: &SplitOptions) -> Result<Report, Error> {
    split_file_with(model, input, out_dir, options, &mut Silent, &Cancel::default())
}

/// [`split_file`] with progress reports and cancellation.
///
/// The song is read twice, once for its loudness and length and once to separate it, so that memory use does not grow
/// with its length. The files get their names when the whole song is done: errors and cancellation leave none.
///
/// # Errors
///
/// [`Error::Decode`] if the input cannot be read, [`Error::Encode`] or [`Error::Io`] if a stem cannot be written,
/// [`Error::Options`] if the options do not fit the model, [`Error::Device`] if a device fails, [`Error::Cancelled`] if
/// `cancel` is set.
pub fn split_file_with(
    model: &Model,
    input: &Path,
    out_dir: &Path,
    options: &SplitOptions,
    listener: &mut dyn Listener,
    cancel: &Cancel,
) -> Result<Report, Error> {
    options.check()?;
    let outputs = Outputs::plan(model, options)?;
    listener.stage(Stage::Reading);
    let song = Song::measure(model, input, &options.limits, cancel)?;
    let mut separation = Separation::new(model, &outputs.separated, song.statistics, &options.separation)?;
    if options.profile {
        separation.record();
    }

    let made_dir = !out_dir.exists();
    std::fs::create_dir_all(out_dir).map_err(Error::io(out_dir))?;
    let result = (|| {
        let rate_hz = output_rate(model, options, song.rate_hz);
        let frames = scaled(song.frames, song.rate_hz, rate_hz);
        let mut sinks = outputs.open(out_dir, options, (model.rate_hz(), rate_hz), frames)?;
        listener.stage(Stage::Separating);
        song.separate(&mut separation, &outputs, &mut sinks, listener, cancel)?;
        listener.stage(Stage::Writing);
        let finished: Vec<_> = sinks.into_par_iter().map(|sink| sink.finish(cancel)).collect();
        if finished.iter().any(Result::is_err) {
            for file in finished.iter().flatten() {
                let _ = std::fs::remove_file(file);
            }
        }
        let files = finished.into_iter().collect::<Result<Vec<_>, _>>()?;
        files.iter().for_each(|file| listener.stem_written(file));
        Ok(Report { files, frames, rate_hz, seconds: song.seconds(), profile: separation.profile().cloned() })
    })();
    if result.is_err() && made_dir {
        // Only this folder, and only if it is empty: a parent folder may hold other songs by now.
        let _ = std::fs::remove_dir(out_dir);
    }
    result
}

/// Returns the sample rate of the files: the model's if the format does not support the song's.
fn output_rate(model: &Model, options: &SplitOptions, song_hz: u32) -> u32 {
    if options.keep_rate && options.format.has_rate(song_hz) { song_hz } else { model.rate_hz() }
}

/// A song after the first reading.
struct Song<'a> {
    path: &'a Path,
    limits: &'a AudioLimits,
    rate_hz: u32,
    model_hz: u32,
    /// Length at its own sample rate.
    frames: u64,
    statistics: SongStatistics,
    silent: bool,
}

impl<'a> Song<'a> {
    fn measure(model: &Model, path: &'a Path, limits: &'a AudioLimits, cancel: &Cancel) -> Result<Self, Error> {
        let mut blocks = Blocks::open(path, limits, model.rate_hz())?;
        let mut statistics = Statistics::default();
        while let Some(block) = blocks.next()? {
            cancel.check()?;
            statistics.push(block);
        }
        Ok(Self {
            path,
            limits,
            rate_hz: blocks.reader.info().rate_hz,
            model_hz: model.rate_hz(),
            frames: blocks.source_frames,
            silent: statistics.is_silent(),
            statistics: statistics.finish(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate_hz.max(1))
    }

    fn separate(
        &self,
        separation: &mut Separation<'_>,
        outputs: &Outputs,
        sinks: &mut [StemSink],
        listener: &mut dyn Listener,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        // Silence has silent stems: `finish` fills every file with zeros.
        if self.silent {
            return Ok(());
        }
        let total_s = self.seconds();
        let mut blocks = Blocks::open(self.path, self.limits, self.model_hz)?;
        let mut stems = vec![Vec::new(); outputs.separated.len()];
        let mut mixture: Vec<Frame> = Vec::new();
        listener.progress(0.0, total_s);
        loop {
            while separation.wants_frames() && !separation.has_segment() {
                cancel.check()?;
                let block = blocks.next()?.ok_or_else(|| {
                    let source = std::io::Error::other("the file changed while it was being split");
                    Error::Io { path: self.path.to_owned(), source }
                })?;
                separation.push(block);
                mixture.extend_from_slice(block);
            }
            cancel.check()?;
            let ready = stems.first().map_or(0, Vec::len);
            let whole = mixture.get(..ready).unwrap_or(&mixture);
            let mut written = Ok(());
            let stepped = if separation.profile().is_some() {
                // Writing in parallel would take CPU time from the layers and distort their times.
                written = outputs.write(sinks, &stems, whole);
                if written.is_ok() { separation.step() } else { Ok(false) }
            } else {
                // Write finished frames while the next segment is separated. The segment stays on this thread: in the
                // pool, a thread that waits inside another song could pick it up.
                rayon::in_place_scope(|scope| {
                    scope.spawn(|_| written = outputs.write(sinks, &stems, whole));
                    separation.step()
                })
            };
            written?;
            if !stepped? {
                return Ok(());
            }
            mixture.drain(..ready.min(mixture.len()));
            stems.iter_mut().for_each(Vec::clear);
            separation.drain(&mut stems);
            listener.progress(separation.done().min(1.0) * total_s, total_s);
        }
    }
}

/// Reads the song's frames at the model's rate, block by block.
struct Blocks {
    reader: AudioReader,
    path: PathBuf,
    resampler: Resampler,
    decoded: Vec<Frame>,
    resampled: Vec<Frame>,
    source_frames: u64,
    ended: bool,
}

impl Blocks {
    fn open(path: &Path, limits: &AudioLimits, rate_hz: u32) -> Result<Self, Error> {
        let reader = AudioReader::open(path, limits).map_err(Error::decode(path))?;
        let from_hz = reader.info().rate_hz;
        let resampler = Resampler::new(from_hz, rate_hz)?;
        let (decoded, resampled) = (Vec::new(), Vec::new());
        Ok(Self { reader, path: path.to_owned(), resampler, decoded, resampled, source_frames: 0, ended: false })
    }

    fn next(&mut self) -> Result<Option<&[Frame]>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.decoded.clear();
        self.resampled.clear();
        self.ended = !self.reader.read(&mut self.decoded).map_err(Error::decode(&self.path))?;
        self.source_frames += self.decoded.len() as u64;
        self.resampler.push(&self.decoded, &mut self.resampled)?;
        if self.ended {
            self.resampler.finish(&mut self.resampled)?;
        }
        Ok(Some(&self.resampled))
    }
}
