//! Each thread's own memory for what lies between two steps of a kernel, kept from call to call.

use std::cell::RefCell;

/// Sixteen values on a line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    static KEPT: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// This thread's memory while it is in use.
pub(crate) struct Scratch(Vec<Line>);

impl Scratch {
    /// Takes this thread's memory; another one taken meanwhile is its own.
    pub(crate) fn take() -> Self {
        Self(KEPT.take())
    }

    /// Slices of these lengths. They hold whatever was left there: write before reading.
    pub(crate) fn slices<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let lines = lengths.map(|length| length.div_ceil(16));
        let needed = lines.iter().sum();
        if self.0.len() < needed {
            self.0.resize(needed, Line([0.0; 16]));
        }
        let mut rest: &mut [f32] = as_values(&mut self.0);
        std::array::from_fn(|i| {
            let (slice, after) = std::mem::take(&mut rest).split_at_mut(16 * lines[i]);
            rest = after;
            &mut slice[..lengths[i]]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        KEPT.set(std::mem::take(&mut self.0));
    }
}

fn as_values(lines: &mut [Line]) -> &mut [f32] {
    let count = 16 * lines.len();
    // SAFETY: a line is sixteen f32 in a row and nothing else.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), count) }
}
