//! A file in, its stems' files out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vocalizer_core::part::Stem;

use crate::audio::{AudioFormat, AudioLimits, AudioReader, Bitrate, Frame, MP3_KBPS, MP3_RATES_HZ, Resampler};
use crate::separation::SongStatistics;
use crate::sink::StemSink;
use crate::{Error, Model, Separation, SeparationOptions};

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
    /// Format of the stems.
    pub format: AudioFormat,
    /// What to do where a stem clips; rescaled where nothing is said, but for floats, which do not clip.
    pub clip: Option<Clip>,
    /// Write at the song's own rate, not at the model's.
    pub keep_rate: bool,
    /// Bounds of what is read.
    pub limits: AudioLimits,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self {
            separation: SeparationOptions::default(),
            stems: Vec::new(),
            two_stems: None,
            format: AudioFormat::Wav16,
            clip: None,
            keep_rate: true,
            limits: AudioLimits::default(),
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

    fn check(&self) -> Result<(), Error> {
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
/// [`Error::Options`] where the options do not fit the model, [`Error::Cancelled`] where `cancel` was thrown.
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

    let made_dir = !out_dir.exists();
    std::fs::create_dir_all(out_dir).map_err(Error::io(out_dir))?;
    let result = (|| {
        let rate_hz = output_rate(model, options, song.rate_hz);
        let frames = if rate_hz == song.rate_hz { song.frames } else { scaled(song.frames, song.rate_hz, rate_hz) };
        let mut sinks = outputs.open(out_dir, options, (model.rate_hz(), rate_hz), frames)?;
        listener.stage(Stage::Separating);
        song.separate(&mut separation, &outputs, &mut sinks, listener, cancel)?;
        listener.stage(Stage::Writing);
        let mut files = Vec::new();
        for sink in sinks {
            cancel.check().inspect_err(|_| remove(&files))?;
            files.push(sink.finish().inspect_err(|_| remove(&files))?);
        }
        files.iter().for_each(|file| listener.stem_written(file));
        Ok(Report { files, frames, rate_hz, seconds: song.seconds() })
    })();
    if result.is_err() && made_dir {
        // Only where it is empty, and only this one: a folder above may hold other songs by now.
        let _ = std::fs::remove_dir(out_dir);
    }
    result
}

/// Takes back files of a song that did not come to its end.
fn remove(files: &[PathBuf]) {
    for file in files {
        let _ = std::fs::remove_file(file);
    }
}

/// The rate of the files: a song at a rate that the format does not have gets stems at the model's.
fn output_rate(model: &Model, options: &SplitOptions, song_hz: u32) -> u32 {
    let takes = match options.format {
        AudioFormat::Mp3(_) => MP3_RATES_HZ.contains(&song_hz),
        _ => true,
    };
    if options.keep_rate && takes { song_hz } else { model.rate_hz() }
}

/// `frames` at one rate as frames at another, rounded to the nearest.
fn scaled(frames: u64, from_hz: u32, to_hz: u32) -> u64 {
    let scaled = (u128::from(frames) * u128::from(to_hz) + u128::from(from_hz / 2)) / u128::from(from_hz.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Which stems are separated and which files they make.
struct Outputs {
    separated: Vec<Stem>,
    /// The stem whose complement is asked for, by its place in `separated`.
    pair: Option<(usize, Complement)>,
}

impl Outputs {
    fn plan(model: &Model, options: &SplitOptions) -> Result<Self, Error> {
        let all = model.sources().to_vec();
        let Some((stem, complement)) = options.two_stems else {
            let wanted = |s: &&Stem| options.stems.is_empty() || options.stems.contains(s);
            if let Some(stem) = options.stems.iter().find(|s| !all.contains(s)) {
                return Err(Self::no_stem(&all, *stem));
            }
            return Ok(Self { separated: all.iter().filter(wanted).copied().collect(), pair: None });
        };
        if !options.stems.is_empty() {
            return Err(Error::Options("two stems and a choice of stems cannot be asked for together".into()));
        }
        if !all.contains(&stem) {
            return Err(Self::no_stem(&all, stem));
        }
        let separated = match complement {
            Complement::Add => all,
            Complement::Minus => vec![stem],
        };
        let index = separated.iter().position(|s| *s == stem).unwrap_or_default();
        Ok(Self { separated, pair: Some((index, complement)) })
    }

    fn no_stem(all: &[Stem], stem: Stem) -> Error {
        let has: Vec<_> = all.iter().map(ToString::to_string).collect();
        Error::Options(format!("this model has no stem '{stem}'; it has {}", has.join(", ")))
    }

    fn open(&self, dir: &Path, options: &SplitOptions, rates: (u32, u32), frames: u64) -> Result<Vec<StemSink>, Error> {
        let clip =
            options.clip.unwrap_or(if options.format == AudioFormat::WavF32 { Clip::None } else { Clip::Rescale });
        let names = match self.pair {
            Some((index, _)) => {
                let stem = self.separated[index];
                vec![stem.to_string(), format!("no_{stem}")]
            }
            None => self.separated.iter().map(ToString::to_string).collect(),
        };
        names
            .into_iter()
            .map(|name| {
                let path = dir.join(format!("{name}.{}", options.format.extension()));
                StemSink::create(path, options.format, clip, rates, frames)
            })
            .collect()
    }

    /// Hands each file its frames.
    fn write(&self, sinks: &mut [StemSink], stems: &[Vec<Frame>], mixture: &[Frame]) -> Result<(), Error> {
        let Some((index, complement)) = self.pair else {
            return sinks.iter_mut().zip(stems).try_for_each(|(sink, frames)| sink.write(frames));
        };
        let combine = |frames: &mut [Frame], other: &[Frame], sign: f32| {
            for (frame, other) in frames.iter_mut().zip(other) {
                frame[0] += sign * other[0];
                frame[1] += sign * other[1];
            }
        };
        let mut rest = match complement {
            Complement::Add => vec![[0.0; 2]; mixture.len()],
            Complement::Minus => mixture.to_vec(),
        };
        for (k, frames) in stems.iter().enumerate() {
            match complement {
                Complement::Add if k != index => combine(&mut rest, frames, 1.0),
                Complement::Minus => combine(&mut rest, frames, -1.0),
                Complement::Add => {}
            }
        }
        let [stem, other] = sinks else { return Ok(()) };
        stem.write(&stems[index])?;
        other.write(&rest)
    }
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
            cancel.check()?;
            if separation.step() {
                separation.drain(&mut stems);
                let ready = stems.first().map_or(0, Vec::len);
                outputs.write(sinks, &stems, mixture.get(..ready).unwrap_or(&mixture))?;
                mixture.drain(..ready.min(mixture.len()));
                stems.iter_mut().for_each(Vec::clear);
                listener.progress(separation.done().min(1.0) * total_s, total_s);
            } else if separation.is_done() {
                return Ok(());
            } else if let Some(block) = blocks.next()? {
                separation.push(block);
                mixture.extend_from_slice(block);
            } else {
                let path = self.path.to_owned();
                let source = std::io::Error::other("the file changed while it was being split");
                return Err(Error::Io { path, source });
            }
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
