//! Work cut into pieces that threads take in any order, and memory that each writes its own part of.
//!
//! Sums over pieces are taken in their order, and where there are such sums, pieces depend on the shape alone; a value
//! that is computed by itself is the same in any piece. So results do not depend on how many threads there are.

use std::marker::PhantomData;

use rayon::prelude::*;

/// Frames taken at once: all of a segment's in the spectrogram, and whole tiles with every width of vector.
pub(crate) const CHUNK: usize = 336;

/// A tensor's extent: `[items, channels, rows, frames]`, frames lying side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Items of a batch.
    pub(crate) items: usize,
    /// Channels of an item.
    pub(crate) channels: usize,
    /// Frequencies; one in the waveform's branch.
    pub(crate) rows: usize,
    /// Values of a row.
    pub(crate) frames: usize,
}

impl Extent {
    /// Values altogether.
    pub(crate) fn len(self) -> usize {
        self.items * self.channels * self.rows * self.frames
    }

    /// Where a row begins.
    pub(crate) fn row(self, item: usize, channel: usize, row: usize) -> usize {
        ((item * self.channels + channel) * self.rows + row) * self.frames
    }
}

/// One piece: some frames of one row of every channel of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) item: usize,
    pub(crate) row: usize,
    /// First frame.
    pub(crate) start: usize,
    /// Frames.
    pub(crate) frames: usize,
}

/// Pieces that there should be for each thread: the last to come are waited for.
const FOR_EACH_THREAD: usize = 2;

/// The least frames of a piece, in whole tiles with every width of vector.
const LEAST: usize = 48;

/// How many frames, at most `most`, to take at once of `rows` rows, so that every thread finds work. For what computes
/// each value by itself.
pub(crate) fn chunk([rows, frames]: [usize; 2], most: usize) -> usize {
    let wanted = FOR_EACH_THREAD * rayon::current_num_threads();
    if rows * frames.div_ceil(most) >= wanted {
        return most;
    }
    frames.div_ceil(wanted.div_ceil(rows.max(1))).next_multiple_of(LEAST).min(most)
}

/// Cuts `items` × `rows` × `frames` into pieces of at most `chunk` frames and gives them to the threads; the results
/// come in order.
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

// SAFETY: it hands out parts only through `part` and `read`, whose callers promise that nobody writes what another holds.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), _borrow: PhantomData }
    }

    /// The `len` values from `start` on.
    ///
    /// # Safety
    ///
    /// Nobody else holds any of them while this part is in use.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint by the caller's promise")]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.len, "a part lies within the whole");
        // SAFETY: within the slice this was made of, and nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// As [`Self::part`], to be read: several threads may hold the same values.
    ///
    /// # Safety
    ///
    /// Nobody writes any of them while this part is in use.
    pub(crate) unsafe fn read(&self, start: usize, len: usize) -> &[f32] {
        assert!(start + len <= self.len, "a part lies within the whole");
        // SAFETY: within the slice this was made of, and nobody writes it.
        unsafe { std::slice::from_raw_parts(self.start.add(start), len) }
    }
}

/// Copies `out.len()` values of `row` from `start` on, which may lie outside it: zeros are there.
pub(crate) fn gather(row: &[f32], start: isize, out: &mut [f32]) {
    let before = start.min(0).unsigned_abs().min(out.len());
    let from = usize::try_from(start).unwrap_or(0).min(row.len());
    let count = (out.len() - before).min(row.len() - from);
    out[..before].fill(0.0);
    out[before..before + count].copy_from_slice(&row[from..from + count]);
    out[before + count..].fill(0.0);
}
