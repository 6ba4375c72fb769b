//! Separation of samples in memory.

use vocalizer_core::part::Stem;

use crate::audio::{Frame, Resampler};
use crate::pipeline::{Pipeline, Streams};
use crate::statistics::Statistics;
use crate::{Cancel, Error, Model, SeparationOptions};

/// Splits a song in memory. `frames` are its left and right samples, with full scale at -1 and 1, at `rate_hz`.
///
/// Returns the stems of the model in its order, with the rate and the length of the song. They are not clipped and add up to
/// the song, its constant part (DC) included, up to rounding and what the model leaves out. Memory use is about twice that of the song for each stem; see
/// [`split_file`](crate::split_file) for songs of any length, and [`Separation`](crate::Separation) for streams.
///
/// ```no_run
/// use vocalizer_model::{Cancel, Model, SeparationOptions, split_frames};
///
/// # fn main() -> Result<(), vocalizer_model::Error> {
/// let model = Model::named("htdemucs")?;
/// let song = vec![[0.0, 0.0]; 44_100];
/// let report = &mut |done: f64| println!("{:.0} %", done * 100.0);
/// for (stem, frames) in split_frames(&model, &song, 44_100, &SeparationOptions::default(), report, &Cancel::default())? {
///     println!("{stem}: {} frames", frames.len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// `progress` gets the finished fraction, from 0 to 1, after each batch of segments.
///
/// # Errors
///
/// [`Error::Options`] if the options do not fit the model, [`Error::Resample`] if the rate is not supported,
/// [`Error::Device`] if a device fails, [`Error::Cancelled`] if `cancel` is set.
pub fn split_frames(
    model: &Model,
    frames: &[Frame],
    rate_hz: u32,
    options: &SeparationOptions,
    progress: &mut dyn FnMut(f64),
    cancel: &Cancel,
) -> Result<Vec<(Stem, Vec<Frame>)>, Error> {
    let sources = model.sources();
    let pipeline = Pipeline::new(model, sources, options)?;
    let song = resampled(frames, rate_hz, model.rate_hz())?;
    let mut statistics = Statistics::default();
    statistics.push(&song);
    if statistics.is_silent() {
        return Ok(sources.iter().map(|&stem| (stem, vec![[0.0; 2]; frames.len()])).collect());
    }
    let mut stems: Vec<Vec<Frame>> = vec![Vec::new(); sources.len()];
    let mut blocks = song.chunks(4096);
    let mut read = |out: &mut Vec<Frame>| -> Result<(), Error> {
        out.extend_from_slice(blocks.next().unwrap_or_default());
        Ok(())
    };
    let mut write = |separated: &[&[Frame]], _: &[Frame]| -> Result<(), Error> {
        stems.iter_mut().zip(separated).for_each(|(stem, frames)| stem.extend_from_slice(frames));
        Ok(())
    };
    let (statistics, dir) = (statistics.finish(), None);
    let streams = Streams { statistics, dir, read: &mut read, write: &mut write, report: progress, cancel };
    pipeline.run(streams, &mut None)?;
    let outputs = sources.iter().zip(stems).map(|(&stem, at_model_rate)| {
        let mut stem_frames = resampled(&at_model_rate, model.rate_hz(), rate_hz)?;
        stem_frames.resize(frames.len(), [0.0; 2]);
        Ok((stem, stem_frames))
    });
    outputs.collect()
}

fn resampled(frames: &[Frame], from_hz: u32, to_hz: u32) -> Result<Vec<Frame>, Error> {
    let (mut resampler, mut out) = (Resampler::new(from_hz, to_hz)?, Vec::new());
    resampler.push(frames, &mut out)?;
    resampler.finish(&mut out)?;
    Ok(out)
}
