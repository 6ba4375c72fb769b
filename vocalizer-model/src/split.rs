//! A file in, its stems' files out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use vocalizer_core::part::Stem;

use crate::audio::{AudioFormat, AudioLimits, AudioReader, Bitrate, Frame, MP3_KBPS, Resampler, scaled};
use crate::outputs::Outputs;
use crate::separation::SongStatistics;
use crate::sink::StemSink;
use crate::{Error, Model, Profile, Separation, SeparationOptions};

/// What to do where a stem is louder than its file can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// Make the whole stem quieter, just enough.
    Rescale,
    /// Cut what is over 0.99.
    Clamp,
    /// Leave it to the format: integers and MP3 cut at full scale, floats hold everything.
    None,
}

/// How the other half of a pair of stems is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complement {
    /// The sum of the other stems.
    Add,
    /// The mixture without the stem.
    Minus,
}

/// How a file is split and what is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SplitOptions {
    /// How the song is cut and how often it is separated.
    pub separation: SeparationOptions,
    /// The stems to write; all of the model's where there are none.
    pub stems: Vec<Stem>,
    /// One stem and everything else (`no_<stem>`), instead of `stems`.
    pub two_stems: Option<(Stem, Complement)>,
    /// [`Stem::FOUR`], instead of `stems`: what a model tells apart beyond them is added to `other`.
    pub four_stems: bool,
    /// Format of the stems.
    pub format: AudioFormat,
    /// What to do where a stem clips; rescaled where nothing is said, but for floats, which do not clip.
    pub clip: Option<Clip>,
    /// Write at the song's own rate, not at the model's.
    pub keep_rate: bool,
    /// Bounds of what is read.
    pub limits: AudioLimits,
    /// Take down what the segments cost, for [`Report::profile`].
    pub profile: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self {
            separation: SeparationOptions::default(),
            stems: Vec::new(),
            two_stems: None,
            four_stems: false,
            format: AudioFormat::Wav16,
            clip: None,
            keep_rate: true,
            limits: AudioLimits::default(),
            profile: false,
        }
    }
}

impl SplitOptions {
    /// Whether the options can be met by any model at all; what depends on the model is said when a song is split.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] with what was wrong and what would be right.
    pub fn check(&self) -> Result<(), Error> {
        self.separation.check()?;
        if self.four_stems && !(self.stems.is_empty() && self.two_stems.is_none()) {
            return Err(Error::Options("the four stems and a choice of stems cannot be asked for together".into()));
        }
        match self.format {
            AudioFormat::Mp3(Bitrate::Cbr(kbps)) if !MP3_KBPS.contains(&kbps) => Err(Error::Options(format!(
                "an MP3 of {kbps} kbit/s cannot be: give one of {}",
                MP3_KBPS.map(|k| k.to_string()).join(", ")
            ))),
            AudioFormat::Mp3(Bitrate::Vbr(quality)) if quality > 9 => {
                Err(Error::Options(format!("a quality of {quality} cannot be: give 0 (best) to 9")))
            }
            _ => Ok(()),
        }
    }
}

/// What a split song left behind.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The files, in the model's order of stems.
    pub files: Vec<PathBuf>,
    /// Frames of the song, and of each file, at `rate_hz`.
    pub frames: u64,
    /// Rate of the files in Hz.
    pub rate_hz: u32,
    /// Length of the song in seconds.
    pub seconds: f64,
    /// What its segments cost, where [`SplitOptions::profile`] asked for it.
    pub profile: Option<Profile>,
}

/// What is being done to a song.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The first reading: length and loudness.
    Reading,
    /// The network at work.
    Separating,
    /// The last frames go to their files.
    Writing,
}

/// Someone who is told how far a song is.
pub trait Listener {
    /// A stage begins.
    fn stage(&mut self, _stage: Stage) {}
    /// So many seconds of the song, of so many, are separated.
    fn progress(&mut self, _done_s: f64, _total_s: f64) {}
    /// A stem stands under its name.
    fn stem_written(&mut self, _path: &Path) {}
}

/// A listener that does not listen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {}

/// A switch, shared by its clones, that stops a song between two segments.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops every song that watches this switch.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was thrown.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Splits `input` into files in the folder `out_dir`, which is made where it is missing.
///
/// # Errors
///
/// See [`split_file_with`].
pub fn split_file(model: &Model, input: &Path, out_dir: &Path, options: &SplitOptions) -> Result<Report, Error> {
    split_file_with(model, input, out_dir, options, &mut Silent, &Cancel::default())
}

/// [`split_file`] with someone listening and a way to stop it.
///
/// The song is read twice, once for its loudness and length and once to separate it, so that memory does not grow with
/// it. Files appear under their names when the whole song is done: an error or a cancel leaves none.
///
/// # Errors
///
/// [`Error::Decode`] where the input cannot be read, [`Error::Encode`] or [`Error::Io`] where a stem cannot be written,
/// [`Error::Options`] where the options do not fit the model, [`Error::Device`] where a card fails, [`Error::Cancelled`]
/// where `cancel` was thrown.
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
        // Only where it is empty, and only this one: a folder above may hold other songs by now.
        let _ = std::fs::remove_dir(out_dir);
    }
    result
}

/// The rate of the files: a song at a rate that the format does not have gets stems at the model's.
fn output_rate(model: &Model, options: &SplitOptions, song_hz: u32) -> u32 {
    if options.keep_rate && options.format.has_rate(song_hz) { song_hz } else { model.rate_hz() }
}

/// A song that was read once.
struct Song<'a> {
    path: &'a Path,
    limits: &'a AudioLimits,
    rate_hz: u32,
    model_hz: u32,
    /// Frames at its own rate.
    frames: u64,
    statistics: SongStatistics,
    silent: bool,
}

impl<'a> Song<'a> {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "statistics, used as f32")]
    fn measure(model: &Model, path: &'a Path, limits: &'a AudioLimits, cancel: &Cancel) -> Result<Self, Error> {
        let mut blocks = Blocks::open(path, limits, model.rate_hz())?;
        let (mut frames, mut loudest, mut mean, mut squares) = (0_u64, 0.0_f32, 0.0_f64, 0.0_f64);
        while let Some(block) = blocks.next()? {
            cancel.check()?;
            for [left, right] in block {
                // Welford's running mean and sum of squares.
                frames += 1;
                let mono = f64::from((left + right) / 2.0);
                let delta = mono - mean;
                mean += delta / frames as f64;
                squares += delta * (mono - mean);
                loudest = loudest.max(left.abs()).max(right.abs());
            }
        }
        let std = (squares / (frames.saturating_sub(1).max(1)) as f64).sqrt();
        Ok(Self {
            path,
            limits,
            rate_hz: blocks.reader.info().rate_hz,
            model_hz: model.rate_hz(),
            frames: blocks.source_frames,
            statistics: SongStatistics { frames, mean: mean as f32, std: std as f32 },
            silent: loudest == 0.0,
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
        // Silence has silent stems: every file is filled with zeros when it is finished.
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
                // A thread that waits for the others would write meanwhile, in the layer's time.
                written = outputs.write(sinks, &stems, whole);
                if written.is_ok() { separation.step() } else { Ok(false) }
            } else {
                // What is done goes to its files while the next segment is separated. The segment stays on this thread: as
                // a job among the pool's it would be taken up by a thread that waits in the middle of another song.
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

/// The song's frames at the model's rate, block by block.
struct Blocks {
    reader: AudioReader,
    path: PathBuf,
    resampler: Option<Resampler>,
    decoded: Vec<Frame>,
    resampled: Vec<Frame>,
    source_frames: u64,
    ended: bool,
}

impl Blocks {
    fn open(path: &Path, limits: &AudioLimits, rate_hz: u32) -> Result<Self, Error> {
        let reader = AudioReader::open(path, limits).map_err(Error::decode(path))?;
        let from_hz = reader.info().rate_hz;
        let resampler = (from_hz != rate_hz).then(|| Resampler::new(from_hz, rate_hz)).transpose()?;
        Ok(Self {
            reader,
            path: path.to_owned(),
            resampler,
            decoded: Vec::new(),
            resampled: Vec::new(),
            source_frames: 0,
            ended: false,
        })
    }

    fn next(&mut self) -> Result<Option<&[Frame]>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.decoded.clear();
        self.resampled.clear();
        self.ended = !self.reader.read(&mut self.decoded).map_err(Error::decode(&self.path))?;
        self.source_frames += self.decoded.len() as u64;
        let Some(resampler) = &mut self.resampler else { return Ok(Some(&self.decoded)) };
        resampler.push(&self.decoded, &mut self.resampled)?;
        if self.ended {
            resampler.finish(&mut self.resampled)?;
        }
        Ok(Some(&self.resampled))
    }
}
