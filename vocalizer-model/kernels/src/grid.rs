//! Cuts work into pieces for a pool of threads, and shares memory of which each piece writes its own part.
//!
//! Sums over pieces are taken in their order, and such pieces depend on the shape alone. A value that is computed on
//! its own is the same in any piece. So results do not depend on the number of threads.

use std::marker::PhantomData;

use rayon::prelude::*;

/// Frames per piece: all frames of a segment's spectrogram, and whole tiles for every vector width.
pub(crate) const CHUNK: usize = 336;

/// The extent of a tensor, `[items, channels, rows, frames]`; frames are contiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Items in the batch.
    pub items: usize,
    /// Channels per item.
    pub channels: usize,
    /// Frequencies; 1 in the waveform's branch.
    pub rows: usize,
    /// Values per row.
    pub frames: usize,
}

impl Extent {
    /// Returns the total number of values.
    #[expect(clippy::len_without_is_empty, reason = "an extent is never empty")]
    pub fn len(self) -> usize {
        self.items * self.channels * self.rows * self.frames
    }

    /// Returns the offset of a row.
    pub(crate) fn row(self, item: usize, channel: usize, row: usize) -> usize {
        ((item * self.channels + channel) * self.rows + row) * self.frames
    }
}

/// A piece of work: some frames of one row, for every channel of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) item: usize,
    pub(crate) row: usize,
    /// First frame.
    pub(crate) start: usize,
    /// Number of frames.
    pub(crate) frames: usize,
}

/// Pieces wanted per thread, so that no thread waits long for the last one.
const FOR_EACH_THREAD: usize = 2;

/// Minimum frames per piece: whole tiles for every vector width.
const LEAST: usize = 48;

/// Returns the frames per piece, at most `most`, so that `rows` rows give every thread work. Only for computations
/// where each value is independent.
pub(crate) fn chunk([rows, frames]: [usize; 2], most: usize) -> usize {
    let wanted = FOR_EACH_THREAD * rayon::current_num_threads();
    if rows * frames.div_ceil(most) >= wanted {
        return most;
    }
    frames.div_ceil(wanted.div_ceil(rows.max(1))).next_multiple_of(LEAST).min(most)
}

/// Cuts `items` × `rows` × `frames` into pieces of at most `chunk` frames and processes them in parallel. Results are
/// in order.
pub(crate) fn pieces<R: Send>(
    [items, rows, frames]: [usize; 3],
    chunk: usize,
    work: impl Fn(Piece) -> R + Sync,
) -> Vec<R> {
    let chunks = frames.div_ceil(chunk);
    (0..items * rows * chunks)
        .into_par_iter()
        .map(|index| {
            let start = index % chunks * chunk;
            let row = index / chunks;
            work(Piece { item: row / rows, row: row % rows, start, frames: chunk.min(frames - start) })
        })
        .collect()
}

/// Memory of which several threads write disjoint parts.
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    _borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: access is only through `part` and `read`, whose callers guarantee that no part is written while another
// holder uses it.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), _borrow: PhantomData }
    }

    /// Returns the `len` values from `start`.
    ///
    /// # Safety
    ///
    /// No other reference to any of these values exists while this part is in use.
    #[expect(clippy::mut_from_ref, reason = "the caller guarantees disjoint parts")]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.len, "part out of bounds");
        // SAFETY: within the original slice, and not shared, as the caller guarantees.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// Returns values for reading, like [`Self::part`]; several threads may hold the same values.
    ///
    /// # Safety
    ///
    /// No thread writes any of these values while this part is in use.
    pub(crate) unsafe fn read(&self, start: usize, len: usize) -> &[f32] {
        assert!(start + len <= self.len, "part out of bounds");
        // SAFETY: within the original slice, and not written, as the caller guarantees.
        unsafe { std::slice::from_raw_parts(self.start.add(start), len) }
    }
}

/// Copies `out.len()` values of `row` from `start`; values outside the row are zero.
pub(crate) fn gather(row: &[f32], start: isize, out: &mut [f32]) {
    let before = start.min(0).unsigned_abs().min(out.len());
    let from = usize::try_from(start).unwrap_or(0).min(row.len());
    let count = (out.len() - before).min(row.len() - from);
    out[..before].fill(0.0);
    out[before..before + count].copy_from_slice(&row[from..from + count]);
    out[before + count..].fill(0.0);
}
