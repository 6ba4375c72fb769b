//! Sample rate conversion.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use super::Frame;
use super::error::ResampleError;

/// Minimum input frames per block: enough for a filter with a passband of 98%.
const MIN_BLOCK_FRAMES: usize = 4_096;
const MAX_RATE_HZ: u32 = 1_000_000;

/// Converts a stream of frames between sample rates, by overlapped FFTs in `f64`.
///
/// There is no delay: the filter's delay is trimmed at the start and its tail kept at the end. `n` input frames give
/// `n * to_hz / from_hz` output frames, rounded half up. Equal rates leave the frames unchanged.
///
/// ```
/// use vocalizer_audio::Resampler;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut resampler, mut out) = (Resampler::new(48_000, 44_100)?, Vec::new());
/// for _ in 0..2 {
///     resampler.push(&[[0.1, -0.1]; 24_000], &mut out)?;
/// }
/// resampler.finish(&mut out)?;
/// assert_eq!(out.len(), 44_100);
/// # Ok(())
/// # }
/// ```
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    engine: Option<Engine>,
    taken: u64,
    given: u64,
    finished: bool,
}

struct Engine {
    fft: Fft<f64>,
    block_in: usize,
    block_out: usize,
    input: Vec<f64>,
    output: Vec<f64>,
    delay: usize,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("from_hz", &self.from_hz).field("to_hz", &self.to_hz).finish_non_exhaustive()
    }
}

impl Resampler {
    /// Prepares the conversion.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Rate`] for a rate of 0 Hz or above 1 MHz; [`ResampleError::Internal`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        if ![from_hz, to_hz].iter().all(|rate| (1..=MAX_RATE_HZ).contains(rate)) {
            return Err(ResampleError::Rate { from_hz, to_hz });
        }
        let engine = if from_hz == to_hz { None } else { Some(Engine::new(from_hz, to_hz)?) };
        Ok(Self { from_hz, to_hz, engine, taken: 0, given: 0, finished: false })
    }

    /// Converts frames and appends those that are ready to `out`.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Finished`] after [`finish`](Self::finish); [`ResampleError::Internal`].
    pub fn push(&mut self, input: &[Frame], out: &mut Vec<Frame>) -> Result<(), ResampleError> {
        if self.finished {
            return Err(ResampleError::Finished);
        }
        self.taken += input.len() as u64;
        let Some(engine) = &mut self.engine else {
            out.extend_from_slice(input);
            self.given += input.len() as u64;
            return Ok(());
        };
        let mut rest = input;
        while !rest.is_empty() {
            let room = engine.block_in - engine.input.len() / 2;
            let (now, later) = rest.split_at(room.min(rest.len()));
            engine.input.extend(now.iter().flatten().map(|&s| f64::from(s)));
            rest = later;
            if engine.input.len() == 2 * engine.block_in {
                self.given += engine.run(u64::MAX, out)?;
            }
        }
        Ok(())
    }

    /// Appends the remaining frames, up to the exact length.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Finished`] when called again; [`ResampleError::Internal`].
    pub fn finish(&mut self, out: &mut Vec<Frame>) -> Result<(), ResampleError> {
        if std::mem::replace(&mut self.finished, true) {
            return Err(ResampleError::Finished);
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let target = scaled(self.taken, self.from_hz, self.to_hz);
        while self.given < target {
            engine.input.resize(2 * engine.block_in, 0.0);
            self.given += engine.run(target - self.given, out)?;
        }
        Ok(())
    }
}

impl Engine {
    fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        let (from, to) = (size(from_hz)?, size(to_hz)?);
        let least = from / gcd(from, to);
        // An even number of the smallest blocks, so that the delay (half a block) is a whole number of frames at both
        // rates.
        let block = least * MIN_BLOCK_FRAMES.div_ceil(least).next_multiple_of(2);
        let fft =
            Fft::<f64>::new_custom(from, to, block, 1, 2, rubato::WindowFunction::BlackmanHarris2, FixedSync::Both)
                .map_err(internal)?;
        let (block_in, block_out) = (fft.input_frames_next(), fft.output_frames_next());
        Ok(Self {
            delay: fft.output_delay(),
            input: Vec::with_capacity(2 * block_in),
            output: vec![0.0; 2 * block_out],
            block_in,
            block_out,
            fft,
        })
    }

    /// Converts the full block in `input` and appends at most `most` frames.
    fn run(&mut self, most: u64, out: &mut Vec<Frame>) -> Result<u64, ResampleError> {
        let input = InterleavedSlice::new(&self.input, 2, self.block_in).map_err(internal)?;
        let mut output = InterleavedSlice::new_mut(&mut self.output, 2, self.block_out).map_err(internal)?;
        self.fft.process_into_buffer(&input, &mut output, None).map_err(internal)?;
        self.input.clear();
        let skip = self.delay.min(self.block_out);
        self.delay -= skip;
        let keep = (self.block_out - skip).min(usize::try_from(most).unwrap_or(usize::MAX));
        let frames = self.output.chunks_exact(2).skip(skip).take(keep);
        // The rest of the pipeline works in f32.
        out.extend(frames.map(|s| [s[0] as f32, s[1] as f32]));
        Ok(keep as u64)
    }
}

/// Converts a number of frames between sample rates, rounded half up.
///
/// ```
/// use vocalizer_audio::scaled;
///
/// assert_eq!(scaled(48_000, 48_000, 44_100), 44_100);
/// ```
pub fn scaled(frames: u64, from_hz: u32, to_hz: u32) -> u64 {
    let scaled = (u128::from(frames) * u128::from(to_hz) + u128::from(from_hz / 2)) / u128::from(from_hz.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn size(rate_hz: u32) -> Result<usize, ResampleError> {
    usize::try_from(rate_hz).map_err(internal)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn internal(error: impl std::fmt::Display) -> ResampleError {
    ResampleError::Internal(error.to_string())
}
