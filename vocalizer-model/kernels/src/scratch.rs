//! Scratch memory per thread for intermediate values of kernels, kept between calls.

use std::cell::RefCell;

use crate::memory::Line;

thread_local! {
    static KEPT: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// The thread's scratch memory while in use.
pub(crate) struct Scratch(Vec<Line>);

impl Scratch {
    /// Takes the thread's memory. A nested call gets separate memory.
    pub(crate) fn take() -> Self {
        Self(KEPT.take())
    }

    /// Returns slices of these lengths. They have arbitrary old content: write before reading.
    pub(crate) fn slices<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let lines = lengths.map(Line::holding);
        let needed = lines.iter().sum();
        if self.0.len() < needed {
            self.0.resize(needed, Line::ZERO);
        }
        let mut rest = self.0.as_mut_slice();
        std::array::from_fn(|i| {
            let (slice, after) = std::mem::take(&mut rest).split_at_mut(lines[i]);
            rest = after;
            &mut Line::values_mut(slice)[..lengths[i]]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        KEPT.set(std::mem::take(&mut self.0));
    }
}
