//! Separation of samples in memory.

use vocalizer_core::part::Stem;

use crate::audio::{Frame, Resampler};
use crate::statistics::Statistics;
use crate::{Cancel, Error, Model, Separation, SeparationOptions};

/// Splits a song in memory. `frames` are its left and right samples, with full scale at -1 and 1, at `rate_hz`.
///
/// Returns the stems of the model in its order, with the rate and the length of the song. They are not clipped and add up to
/// the song, its constant part (DC) included, up to rounding and what the model leaves out. Memory use is about twice that of the song for each stem; see
/// [`split_file`](crate::split_file) for songs of any length, and [`Separation`] for streams.
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
    options.check()?;
    let sources = model.sources();
    let song = resampled(frames, rate_hz, model.rate_hz())?;
    let mut statistics = Statistics::default();
    statistics.push(&song);
    if statistics.is_silent() {
        return Ok(sources.iter().map(|&stem| (stem, vec![[0.0; 2]; frames.len()])).collect());
    }
    let mut separation = Separation::new(model, sources, statistics.finish(), options)?;
    separation.push(&song);
    drop(song);
    let mut stems = vec![Vec::new(); sources.len()];
    loop {
        cancel.check()?;
        if !separation.step()? {
            break;
        }
        separation.drain(&mut stems);
        progress(separation.done().min(1.0));
    }
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
