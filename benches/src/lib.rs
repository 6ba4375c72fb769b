//! What the benchmarks separate.

use vocalizer_model::audio::Frame;
use vocalizer_model::{Error, Model, Profile, Separation, SeparationOptions, SongStatistics};

/// A tone, as good as any music to a network whose work does not depend on what it hears.
pub fn tone(frames: usize) -> Vec<Frame> {
    (0..frames).map(|n| (n as f32 * 0.05).sin()).map(|x| [x, 0.5 * x]).collect()
}

/// Frames of a song of so many segments: with an overlap of a quarter, three quarters of each are new.
pub fn song_frames(model: &Model, segments: usize) -> usize {
    segments * (model.segment_frames() * 3 / 4)
}

/// Separates all of it and throws the stems away; says what it cost where `record` asks for it.
///
/// # Errors
///
/// Where a card fails; there is nothing wrong with a model's own stems and the options by default.
pub fn separate(model: &Model, song: &[Frame], record: bool) -> Result<Option<Profile>, Error> {
    let statistics = SongStatistics { frames: song.len() as u64, mean: 0.0, std: 0.5 };
    let mut separation = Separation::new(model, model.sources(), statistics, &SeparationOptions::default())?;
    if record {
        separation.record();
    }
    let mut stems = vec![Vec::new(); model.sources().len()];
    separation.push(song);
    while separation.step()? {
        separation.drain(&mut stems);
        stems.iter_mut().for_each(Vec::clear);
    }
    assert!(separation.is_done(), "the whole song is separated");
    Ok(separation.profile().cloned())
}
