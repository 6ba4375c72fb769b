//! Splits an audio file into stem files.

use std::path::{Path, PathBuf};

use crate::audio::{AudioWarning, Frame, WriteOptions, scaled};
use crate::blocks::Blocks;
use crate::outputs::{Finished, Outputs};
use crate::pipeline::{Pipeline, Streams, Writer};
use crate::sink::SinkFormat;
use crate::{Cancel, Error, Model, Precision, Profile, SongStatistics, SplitOptions, Statistics};

/// The result of splitting a song.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The files, in the model's order of stems.
    pub files: Vec<PathBuf>,
    /// Length of what was split, and of each file, in frames at `rate_hz`.
    pub frames: u64,
    /// Sample rate of the files in Hz.
    pub rate_hz: u32,
    /// Length of what was split in seconds: of the song, or of the part between [`SplitOptions::start_s`] and
    /// [`SplitOptions::end_s`].
    pub seconds: f64,
    /// Where in the song the files start, in seconds.
    pub start_s: f64,
    /// The gain that all files have in common because a stem would have clipped ([`Clip::Common`](crate::Clip::Common)),
    /// else 1: the stems add up to the song times this gain.
    pub gain: f32,
    /// The gain of each file, by its name without the extension. Clamped samples are not counted.
    pub gains: Vec<(String, f32)>,
    /// The number format that the model computed in; see [`Model::precision`].
    pub precision: Precision,
    /// What is damaged or unusual in the input.
    pub warnings: Vec<AudioWarning>,
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
///
/// ```
/// use vocalizer_model::{Listener, Stage};
///
/// struct Printer;
///
/// impl Listener for Printer {
///     fn stage(&mut self, stage: Stage) {
///         println!("{stage:?}");
///     }
///     fn progress(&mut self, done_s: f64, total_s: f64) {
///         println!("{done_s:.0} of {total_s:.0} s");
///     }
/// }
/// # Printer.stage(Stage::Reading);
/// # Printer.progress(1.0, 2.0);
/// ```
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
/// ```no_run
/// use vocalizer_model::{Model, SplitOptions, Stem, split_file};
///
/// # fn main() -> Result<(), vocalizer_model::Error> {
/// let model = Model::named("htdemucs")?;
/// let mut options = SplitOptions::default();
/// options.stems = vec![Stem::VOCALS];
/// let report = split_file(&model, "song.mp3".as_ref(), "stems".as_ref(), &options)?;
/// println!("{} has {:.1} s", report.files[0].display(), report.seconds);
/// # Ok(())
/// # }
/// ```
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
/// ```no_run
/// use vocalizer_model::{Cancel, Error, Model, SplitOptions, split_file_with};
///
/// # fn main() -> Result<(), vocalizer_model::Error> {
/// # struct Printer;
/// # impl vocalizer_model::Listener for Printer {}
/// # let model = Model::named("htdemucs")?;
/// // `Printer` is a `Listener`; another thread may call `cancel.cancel()`.
/// let (options, cancel) = (SplitOptions::default(), Cancel::default());
/// match split_file_with(&model, "song.mp3".as_ref(), "stems".as_ref(), &options, &mut Printer, &cancel) {
///     Err(Error::Cancelled) => println!("cancelled; no files are left"),
///     split => println!("{} files", split?.files.len()),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Decode`] if the input cannot be read, [`Error::Part`] if the part to split does not lie in the song, [`Error::Encode`] or [`Error::Io`] if a stem cannot be written,
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
    let pipeline = Pipeline::new(model, &outputs.separated, &options.separation)?;
    let song = Song::measure(model, input, options, cancel)?;
    let mut profile = options.profile.then(|| model.new_profile());

    let made_dir = !out_dir.exists();
    std::fs::create_dir_all(out_dir).map_err(Error::io(out_dir))?;
    let result = (|| {
        let rate_hz = output_rate(model, options, song.rate_hz);
        let frames = scaled(song.frames, song.rate_hz, rate_hz);
        let (format, clip, from_hz) = (options.format, options.clip(), model.rate_hz());
        let format = SinkFormat { format, clip, from_hz, to_hz: rate_hz, frames };
        let mut sinks = outputs.open(out_dir, format, write_options(input, options))?;
        listener.stage(Stage::Separating);
        let mut write = |stems: &[&[Frame]], mixture: &[Frame]| outputs.write(&mut sinks, stems, mixture);
        song.separate(&pipeline, out_dir, &mut write, listener, cancel, &mut profile)?;
        listener.stage(Stage::Writing);
        let Finished { files, gain, gains } = outputs.finish(sinks, clip, cancel)?;
        files.iter().for_each(|file| listener.stem_written(file));
        let (seconds, start_s) = (song.seconds(), options.start_s.unwrap_or(0.0));
        let (precision, warnings) = (model.precision(), song.warnings);
        Ok(Report { files, frames, rate_hz, seconds, start_s, gain, gains, precision, warnings, profile })
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

/// Returns how to write the file of a stem.
#[cfg(feature = "tags")]
fn write_options(input: &Path, options: &SplitOptions) -> impl Fn(&str) -> WriteOptions {
    let tags = if options.tags { crate::audio::SongTags::read(input) } else { Default::default() };
    let mono = options.mono;
    move |stem| {
        let mut write = WriteOptions::default();
        (write.mono, write.tags) = (mono, tags.for_stem(stem));
        write
    }
}

#[cfg(not(feature = "tags"))]
fn write_options(_: &Path, options: &SplitOptions) -> impl Fn(&str) -> WriteOptions {
    let mono = options.mono;
    move |_| {
        let mut write = WriteOptions::default();
        write.mono = mono;
        write
    }
}

/// A song, or the part of it to split, after the first reading.
struct Song<'a> {
    path: &'a Path,
    options: &'a SplitOptions,
    rate_hz: u32,
    model_hz: u32,
    /// Length at its own sample rate.
    frames: u64,
    statistics: SongStatistics,
    silent: bool,
    warnings: Vec<AudioWarning>,
}

impl<'a> Song<'a> {
    fn measure(model: &Model, path: &'a Path, options: &'a SplitOptions, cancel: &Cancel) -> Result<Self, Error> {
        let mut blocks = Blocks::open(path, options, model.rate_hz())?;
        let mut statistics = Statistics::default();
        while let Some(block) = blocks.next()? {
            cancel.check()?;
            statistics.push(block);
        }
        blocks.check_part()?;
        Ok(Self {
            path,
            options,
            rate_hz: blocks.rate_hz(),
            model_hz: model.rate_hz(),
            frames: blocks.frames(),
            silent: statistics.is_silent(),
            statistics: statistics.finish(),
            warnings: blocks.warnings(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate_hz.max(1))
    }

    fn separate(
        &self,
        pipeline: &Pipeline<'_>,
        dir: &Path,
        write: &mut Writer<'_>,
        listener: &mut dyn Listener,
        cancel: &Cancel,
        profile: &mut Option<Profile>,
    ) -> Result<(), Error> {
        // Silence has silent stems: `finish` fills every file with zeros.
        if self.silent {
            return Ok(());
        }
        let total_s = self.seconds();
        let mut blocks = Blocks::open(self.path, self.options, self.model_hz)?;
        let mut read = |out: &mut Vec<Frame>| -> Result<(), Error> {
            let block = blocks.next()?.ok_or_else(|| {
                let source = std::io::Error::other("the file changed while it was being split");
                Error::Io { path: self.path.to_owned(), source }
            })?;
            out.extend_from_slice(block);
            Ok(())
        };
        listener.progress(0.0, total_s);
        let streams = Streams {
            statistics: self.statistics,
            dir: Some(dir),
            read: &mut read,
            write,
            report: &mut |done| listener.progress(done * total_s, total_s),
            cancel,
        };
        pipeline.run(streams, profile)
    }
}
