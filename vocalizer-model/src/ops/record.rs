//! What each operation costs, taken down on the thread where somebody asked for it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

thread_local! {
    static RECORDS: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// One operation that has run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Record {
    pub(crate) operation: &'static str,
    pub(crate) took: Duration,
    pub(crate) cost: Cost,
}

/// What an operation cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    /// Multiplications and additions of its matrix products and convolutions; what each value goes through by itself is
    /// not counted.
    pub(crate) flop: u64,
    /// Values read and written once each: weights, inputs, output.
    pub(crate) values: usize,
}

/// While it lives, this thread's operations are taken down.
pub(crate) struct Recording {
    /// The records of one that had begun before on this thread, which goes on afterwards.
    before: Option<Vec<Record>>,
}

impl Recording {
    pub(crate) fn begin() -> Self {
        Self { before: RECORDS.replace(Some(Vec::new())) }
    }

    /// What has run since it was last asked.
    #[expect(clippy::unused_self, reason = "only a recording has records")]
    pub(crate) fn take(&mut self) -> Vec<Record> {
        RECORDS.with_borrow_mut(|records| records.as_mut().map(std::mem::take).unwrap_or_default())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDS.set(self.before.take());
    }
}

/// Waits for what a card was given, where this thread is recording: what it took would be the next thing's otherwise.
pub(crate) fn settle(device: &Device) {
    if RECORDS.with_borrow(Option::is_some) {
        // What a card could not do is told when its results are read.
        let _ = device.sync();
    }
}

/// Does `work`, and takes down how long it took, on a card to its end, where this thread is recording.
pub(super) fn recorded(operation: &'static str, cost: Cost, work: impl FnOnce() -> Tensor<4>) -> Tensor<4> {
    if RECORDS.with_borrow(Option::is_none) {
        return work();
    }
    let began = Instant::now();
    let done = work();
    settle(&done.device());
    let record = Record { operation, took: began.elapsed(), cost };
    RECORDS.with_borrow_mut(|records| records.as_mut().map(|records| records.push(record)));
    done
}
