//! Records the cost of each operation, per thread and on request.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

thread_local! {
    static RECORDS: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// The record of one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Record {
    pub(crate) operation: &'static str,
    pub(crate) took: Duration,
    pub(crate) cost: Cost,
}

/// The minimum cost of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    /// Multiplications and additions of matrix products and convolutions; elementwise work is not counted.
    pub(crate) flop: u64,
    /// Values read and written, once each: weights, inputs, output.
    pub(crate) values: usize,
}

/// Records this thread's operations while it lives.
pub(crate) struct Recording {
    /// The records of an outer recording on this thread, which resumes afterwards.
    before: Option<Vec<Record>>,
}

impl Recording {
    pub(crate) fn begin() -> Self {
        Self { before: RECORDS.replace(Some(Vec::new())) }
    }

    /// Returns the records since the last call.
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

/// Waits for the device's pending work if this thread is recording; otherwise it would count for the next operation.
pub(crate) fn settle(device: &Device) {
    if RECORDS.with_borrow(Option::is_some) {
        // Device errors are reported when results are read.
        let _ = device.sync();
    }
}

/// Runs `work`. If this thread is recording, records how long it took, until the device is done.
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
