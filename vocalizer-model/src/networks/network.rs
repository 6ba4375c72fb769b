//! What every family of networks has in common.

use burn::tensor::{DType, Device};
use vocalizer_core::part::Stem;
use vocalizer_kernels::gemm;

use super::Watcher;
use crate::weights::{WeightsError, WeightsFile};

/// A part of a song or of a stem: left, right.
pub(crate) type Segment = [Vec<f32>; 2];

/// Waits for the stems of a batch and reads them.
///
/// # Shapes
///
/// - output: `[batch][wanted][2][frames]`
pub(crate) type Outputs = Box<dyn FnOnce(&mut dyn Watcher) -> Result<Vec<Vec<Segment>>, String> + Send>;

/// What a network's configuration says, without its parameters.
pub(crate) trait NetworkConfig: Send + Sync {
    /// The stems, in the order of the network's outputs.
    fn sources(&self) -> &[Stem];

    /// The longest segment, in frames at 44.1 kHz.
    fn segment_frames(&self) -> usize;

    /// How the reference cuts a song into segments and joins them.
    fn chunking(&self) -> Chunking;

    /// What the song is divided by before it is cut.
    fn level(&self) -> Level;

    /// Loads the network. It must separate `stems`, which are positions in [`Self::sources`]; a
    /// network with a part of its own for each stem loads no others.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] or [`WeightsError::WrongShape`] if the file does not match the configuration.
    fn load(
        &self,
        stems: &[usize],
        file: &WeightsFile,
        device: &Device,
        format: Format,
    ) -> Result<Box<dyn Network>, WeightsError>;
}

/// A network on a device.
pub(crate) trait Network: Send + Sync {
    /// Starts to separate segments of one length, at most [`NetworkConfig::segment_frames`]. `wanted` are positions in
    /// [`NetworkConfig::sources`], all of them loaded. On a GPU, the work is only enqueued.
    ///
    /// # Errors
    ///
    /// A message if the device fails.
    ///
    /// # Shapes
    ///
    /// - `segments`: `[batch][2][frames]`
    fn submit(&self, segments: &[Segment], wanted: &[usize], watcher: &mut dyn Watcher) -> Result<Outputs, String>;
}

/// The number formats that a network computes in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    /// Of all values.
    pub(crate) values: DType,
    /// Of the packed weights, on the CPU.
    pub(crate) packed: gemm::Precision,
}

impl Format {
    /// 32 bits.
    #[cfg(test)]
    pub(crate) const F32: Self = Self { values: DType::F32, packed: gemm::Precision::F32 };
}

/// How a song is cut into segments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Chunking {
    /// Segments weighted by a triangle, overlapping by a quarter.
    Triangle,
    /// Segments that fade in and out over a tenth of their length, with a reflected border around the song. Each frame of the song
    /// is in this number of segments.
    Fades(usize),
}

/// The normalisation of a whole song.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The network gets the song as it is.
    Unchanged,
    /// Mean 0, standard deviation 1 (unbiased).
    Unbiased,
    /// Mean 0, standard deviation 1 (of the population).
    Population,
}

/// Groups signals, alternately left and right, as `[batch][sources][2]`.
pub(super) fn pairs(signals: Vec<Vec<f32>>, [batch, sources]: [usize; 2]) -> Vec<Vec<Segment>> {
    let mut signals = signals.into_iter();
    let mut pair = || Some([signals.next()?, signals.next()?]);
    (0..batch).map(|_| (0..sources).filter_map(|_| pair()).collect()).collect()
}
