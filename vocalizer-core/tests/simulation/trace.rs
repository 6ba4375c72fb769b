//! The trace of a run: a hash to compare runs, printed events for debugging, and coverage counts.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hash::Hasher;

pub(crate) struct Trace {
    /// The hash of all notes and choices.
    pub(crate) hash: Fnv,
    /// Whether notes are printed.
    verbose: bool,
    pub(crate) coverage: BTreeMap<&'static str, u64>,
}

impl Trace {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { hash: Fnv(0xcbf2_9ce4_8422_2325), verbose, coverage: BTreeMap::new() }
    }

    pub(crate) fn note(&mut self, now_us: u64, who: usize, what: fmt::Arguments<'_>) {
        self.hash.write_u64(now_us);
        let _ = self.hash.write_fmt(what);
        if self.verbose {
            println!("{:>6}.{:06} [{who}] {what}", now_us / 1_000_000, now_us % 1_000_000);
        }
    }

    pub(crate) fn cover(&mut self, what: &'static str) {
        *self.coverage.entry(what).or_default() += 1;
    }
}

/// FNV-1a: the same on every machine and in every version of the standard library.
pub(crate) struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}
