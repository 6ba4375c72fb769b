//! A pool of memory for tensors, kept while songs are being separated.
//!
//! A segment needs some hundred tensors of a few sizes, and so does the next one. Fresh memory would have to be cleared
//! by the system, page by page, each time.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A cache line of sixteen values.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line([f32; LINE]);

const LINE: usize = 16;

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; LINE]);

    /// Returns the number of lines for this many values.
    pub(crate) fn holding(values: usize) -> usize {
        values.div_ceil(LINE)
    }

    pub(crate) fn values(lines: &[Self]) -> &[f32] {
        // SAFETY: a line consists of exactly sixteen contiguous f32.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), LINE * lines.len()) }
    }

    pub(crate) fn values_mut(lines: &mut [Self]) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), LINE * lines.len()) }
    }
}

/// The free memory, and the number of keepers.
struct Pool {
    free: Vec<Box<[Line]>>,
    keepers: usize,
}

impl Pool {
    /// Takes the smallest free block that is large enough and at most three times too large.
    fn take(&mut self, needed: usize) -> Option<Box<[Line]>> {
        let fits = |lines: &[Line]| (needed..=3 * needed).contains(&lines.len());
        let found = self.free.iter().enumerate().filter(|(_, lines)| fits(lines)).min_by_key(|(_, lines)| lines.len());
        let index = found.map(|(index, _)| index)?;
        Some(self.free.swap_remove(index))
    }

    /// Removes a keeper. Returns all free memory if it was the last.
    fn leave(&mut self) -> Vec<Box<[Line]>> {
        self.keepers -= 1;
        if self.keepers == 0 { std::mem::take(&mut self.free) } else { Vec::new() }
    }

    /// Takes back free memory, if there is a keeper.
    fn put(&mut self, lines: Box<[Line]>) {
        if self.keepers > 0 {
            self.free.push(lines);
        }
    }
}

static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), keepers: 0 });

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps freed memory in the pool while it lives. Dropping the last keeper returns the memory to the system.
#[derive(Debug)]
pub struct Keeper(());

impl Default for Keeper {
    fn default() -> Self {
        pool().keepers += 1;
        Self(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let free = pool().leave();
        drop(free);
    }
}

static NAN_FILLED: AtomicBool = AtomicBool::new(false);

/// Fills new buffers with NaN from now on, so that tests detect missing writes of kernels.
#[doc(hidden)]
pub fn fill_new_buffers_with_nan() {
    NAN_FILLED.store(true, Ordering::Relaxed);
}

/// Cache-aligned memory for `len` values. It has arbitrary old content: write before reading.
pub struct Buffer {
    lines: Box<[Line]>,
    len: usize,
}

impl Buffer {
    /// Takes a fitting block from the pool, or allocates one.
    pub fn of(len: usize) -> Self {
        let needed = Line::holding(len);
        let free = pool().take(needed);
        let lines = free.unwrap_or_else(|| vec![Line::ZERO; needed].into_boxed_slice());
        let mut buffer = Self { lines, len };
        if NAN_FILLED.load(Ordering::Relaxed) {
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// Copies the values into a new buffer.
    pub fn copy_of(values: &[f32]) -> Self {
        let mut buffer = Self::of(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &Line::values(&self.lines)[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut Line::values_mut(&mut self.lines)[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        pool().put(std::mem::take(&mut self.lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Box<[Line]> {
        vec![Line::ZERO; count].into_boxed_slice()
    }

    #[test]
    fn pool_returns_smallest_fitting_block() {
        let mut pool = Pool { free: Vec::new(), keepers: 1 };
        for count in [40, 10, 25] {
            pool.put(lines(count));
        }
        let mut next = |needed| pool.take(needed).map(|lines| lines.len());
        assert_eq!(next(41), None, "all blocks are too small");
        assert_eq!(next(3), None, "all blocks are too large");
        assert_eq!(next(9), Some(10), "the smallest block");
        assert_eq!(next(9), Some(25), "the smallest block left");
        assert_eq!(next(9), None);
        assert_eq!(next(40), Some(40));
    }

    #[test]
    fn last_keeper_empties_pool() {
        let mut pool = Pool { free: Vec::new(), keepers: 2 };
        pool.put(lines(10));
        assert!(pool.leave().is_empty() && pool.free.len() == 1, "another keeper exists");
        assert_eq!(pool.leave().len(), 1);
        pool.put(lines(10));
        assert!(pool.take(10).is_none());
    }
}
