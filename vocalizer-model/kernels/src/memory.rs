//! A pool of memory for tensors, kept while songs are being separated.
//!
//! A segment needs some hundred tensors, and so does the next one. Fresh memory would have to be cleared by the system, page
//! by page, each time. Tensors are parts of large regions, so that memory of one size is used again for any other.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
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

    pub(crate) fn values_mut(lines: &mut [Self]) -> &mut [f32] {
        // SAFETY: a line consists of exactly sixteen contiguous f32.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), LINE * lines.len()) }
    }
}

/// Lines of the first region: enough for small networks where address space is limited.
const FIRST_REGION: usize = (64 << 20) / size_of::<Line>();

/// Lines of further regions, more than the tensors of most networks need: what is not used takes no memory.
const REGION: usize = (256 << 20) / size_of::<Line>();

/// A part of a region.
struct Part {
    start: NonNull<f32>,
    lines: usize,
}

// SAFETY: only the holder of a part uses its memory.
unsafe impl Send for Part {}
// SAFETY: as above.
unsafe impl Sync for Part {}

/// Memory that is given out in parts.
struct Region {
    memory: Vec<f32>,
    /// The first value that begins a line.
    first: usize,
    lines: usize,
    /// The free parts, none of which touch: the first line and the number of lines of each.
    free: BTreeMap<usize, usize>,
}

impl Region {
    fn new(lines: usize) -> Self {
        // The system provides these zeros page by page when they are first used.
        let memory = vec![0.0_f32; LINE * (lines + 1)];
        let first = memory.as_ptr().align_offset(align_of::<Line>());
        Self { memory, first, lines, free: BTreeMap::from([(0, lines)]) }
    }

    fn start(&mut self) -> *mut f32 {
        self.memory.as_mut_ptr().wrapping_add(self.first)
    }

    /// Takes the first free part that is large enough, so that the rest of the region remains unused.
    fn take(&mut self, lines: usize) -> Option<Part> {
        let (&at, &count) = self.free.iter().find(|(_, count)| **count >= lines)?;
        self.free.remove(&at);
        if count > lines {
            self.free.insert(at + lines, count - lines);
        }
        let start = NonNull::new(self.start().wrapping_add(LINE * at))?;
        Some(Part { start, lines })
    }

    /// Takes back a part and joins it with the free parts beside it. Returns whether it is one of this region.
    fn put(&mut self, part: &Part) -> bool {
        let bytes = part.start.addr().get().checked_sub(self.start().addr());
        let Some(mut at) = bytes.map(|bytes| bytes / size_of::<Line>()).filter(|at| *at < self.lines) else {
            return false;
        };
        let mut count = part.lines;
        count += self.free.remove(&(at + count)).unwrap_or_default();
        if let Some((&before, &lines)) =
            self.free.range(..at).next_back().filter(|(before, lines)| *before + *lines == at)
        {
            (at, count) = (before, lines + count);
        }
        self.free.insert(at, count);
        true
    }

    fn is_free(&self) -> bool {
        self.free.get(&0) == Some(&self.lines)
    }
}

/// The regions, and the number of keepers.
struct Pool {
    regions: Vec<Region>,
    keepers: usize,
}

impl Pool {
    fn take(&mut self, lines: usize) -> Part {
        if let Some(part) = self.regions.iter_mut().find_map(|region| region.take(lines)) {
            return part;
        }
        let least = match (self.keepers, self.regions.len()) {
            (0, _) => 0,
            (_, 0) => FIRST_REGION,
            _ => REGION,
        };
        let mut region = Region::new(lines.max(least));
        let part = region.take(lines).expect("a region of this size");
        self.regions.push(region);
        part
    }

    /// Takes back a part. Returns its region if no part of it is used and there is no keeper.
    fn put(&mut self, part: &Part) -> Option<Region> {
        let index = self.regions.iter_mut().position(|region| region.put(part))?;
        (self.keepers == 0 && self.regions[index].is_free()).then(|| self.regions.swap_remove(index))
    }

    /// Removes a keeper. Returns the free regions if it was the last.
    fn leave(&mut self) -> Vec<Region> {
        self.keepers -= 1;
        if self.keepers == 0 { self.regions.extract_if(.., |region| region.is_free()).collect() } else { Vec::new() }
    }
}

static POOL: Mutex<Pool> = Mutex::new(Pool { regions: Vec::new(), keepers: 0 });

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
    part: Part,
    len: usize,
}

impl Buffer {
    /// Takes memory from the pool.
    pub fn of(len: usize) -> Self {
        let part = pool().take(Line::holding(len).max(1));
        let mut buffer = Self { part, len };
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
        // SAFETY: the part has initialised values for this length, and only this buffer uses them.
        unsafe { std::slice::from_raw_parts(self.part.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.part.start.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let unused = pool().put(&self.part);
        drop(unused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the first line of a part.
    fn at(region: &mut Region, part: &Part) -> usize {
        (part.start.addr().get() - region.start().addr()) / size_of::<Line>()
    }

    #[test]
    fn parts_are_cut_from_the_first_gap_and_joined_again() {
        let mut region = Region::new(100);
        let parts = [10, 20, 30, 40].map(|lines| region.take(lines).expect("free lines"));
        assert_eq!(parts.each_ref().map(|part| at(&mut region, part)), [0, 10, 30, 60]);
        assert!(parts.iter().all(|part| part.start.addr().get().is_multiple_of(align_of::<Line>())));
        assert!(region.take(1).is_none());
        let [first, second, third, fourth] = parts;
        assert!(region.put(&first) && region.put(&third) && region.put(&second), "joins both sides");
        assert_eq!(region.free, BTreeMap::from([(0, 60)]));
        let part = region.take(45).expect("lines of three parts");
        assert_eq!((at(&mut region, &part), &region.free), (0, &BTreeMap::from([(45, 15)])));
        assert!(region.put(&fourth) && !region.is_free() && region.put(&part) && region.is_free());
        assert!(!Region::new(100).put(&first), "a part of another region");
    }

    #[test]
    fn keepers_share_regions_and_the_last_one_empties_the_pool() {
        let mut pool = Pool { regions: Vec::new(), keepers: 2 };
        let [small, large] = [10, REGION + 1].map(|lines| pool.take(lines));
        assert_eq!(pool.regions.iter().map(|region| region.lines).collect::<Vec<_>>(), [FIRST_REGION, REGION + 1]);
        assert!(pool.put(&large).is_none() && pool.leave().is_empty(), "a keeper is left");
        assert_eq!(pool.leave().len(), 1, "the free region");
        let other = pool.take(5);
        assert_eq!(pool.regions.len(), 1, "the region that is in use");
        assert!(pool.put(&small).is_none() && pool.put(&other).is_some() && pool.regions.is_empty());
        let own = pool.take(5);
        assert_eq!(pool.regions[0].lines, 5, "no more than needed without a keeper");
        assert!(pool.put(&own).is_some());
    }
}
