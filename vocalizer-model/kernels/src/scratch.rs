//! Scratch memory per thread for intermediate values of kernels, kept between calls.

use std::cell::RefCell;
use std::thread::LocalKey;

use crate::memory::Line;

type Kept = RefCell<Vec<Line>>;

thread_local! {
    static KEPT: Kept = const { RefCell::new(Vec::new()) };
    static TERMS: Kept = const { RefCell::new(Vec::new()) };
}

/// The thread's scratch memory while in use.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    kept: &'static LocalKey<Kept>,
}

impl Scratch {
    /// Takes the thread's memory. A nested call gets separate memory.
    pub(crate) fn take() -> Self {
        Self { lines: KEPT.take(), kept: &KEPT }
    }

    /// Takes the thread's memory for the terms of one product, while the kernel around it uses its own.
    pub(crate) fn take_for_terms() -> Self {
        Self { lines: TERMS.take(), kept: &TERMS }
    }

    /// Returns slices of these lengths. They have arbitrary old content: write before reading.
    pub(crate) fn slices<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let lines = lengths.map(Line::holding);
        let needed = lines.iter().sum();
        if self.lines.len() < needed {
            self.lines.resize(needed, Line::ZERO);
        }
        let mut rest = self.lines.as_mut_slice();
        std::array::from_fn(|i| {
            let (slice, after) = std::mem::take(&mut rest).split_at_mut(lines[i]);
            rest = after;
            &mut Line::values_mut(slice)[..lengths[i]]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.kept.set(std::mem::take(&mut self.lines));
    }
}
