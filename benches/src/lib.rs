//! Helpers for the benchmarks.

use vocalizer_model::audio::Frame;
use vocalizer_model::{Error, Model, Profile, Separation, SeparationOptions, Statistics};

/// Generates a tone; the network's cost does not depend on the signal.
pub fn tone(frames: usize) -> Vec<Frame> {
    (0..frames).map(|n| (n as f32 * 0.05).sin()).map(|x| [x, 0.5 * x]).collect()
}

/// Returns the frames of a song with this many segments: with an overlap of 25 %, three quarters of each segment are new.
pub fn song_frames(model: &Model, segments: usize) -> usize {
    segments * (model.segment_frames() * 3 / 4)
}

/// Separates a song and discards the stems. Returns a profile if `record` is set.
///
/// # Errors
///
/// Fails if a GPU fails; the model's own stems and the default options are valid.
pub fn separate(model: &Model, song: &[Frame], record: bool) -> Result<Option<Profile>, Error> {
    separate_with(model, song, record, |_| ())
}

/// Separates a song like [`separate`]. `take` gets the next frames of each stem.
///
/// # Errors
///
/// Those of [`separate`].
pub fn separate_with(
    model: &Model,
    song: &[Frame],
    record: bool,
    mut take: impl FnMut(&[Vec<Frame>]),
) -> Result<Option<Profile>, Error> {
    let mut statistics = Statistics::default();
    statistics.push(song);
    let mut options = SeparationOptions::default();
    // `compare.py` compares the stems with the original network's.
    options.reference_dc = true;
    let mut separation = Separation::new(model, model.sources(), statistics.finish(), &options)?;
    if record {
        separation.record();
    }
    let mut stems = vec![Vec::new(); model.sources().len()];
    separation.push(song);
    while separation.step()? {
        separation.drain(&mut stems);
        take(&stems);
        stems.iter_mut().for_each(Vec::clear);
    }
    assert!(separation.is_done(), "the song must be fully separated");
    Ok(separation.profile().cloned())
}
