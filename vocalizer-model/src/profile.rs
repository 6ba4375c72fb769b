//! What a segment's time goes to, layer by layer.

use std::time::Instant;

use burn::tensor::TensorData;
use serde::Serialize;

use crate::card::Card;
use crate::htdemucs::Watcher;
use crate::ops::{self, Record, Recording, yardstick};

/// What the segments of a song cost, operation by operation, beside what the machine can do at best.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// Segments that ran.
    pub segments: u32,
    /// Seconds of all of them together.
    pub seconds: f64,
    /// What it ran on, as in `cpu` or `cuda:0`.
    pub device: String,
    /// Threads of the CPU that compute.
    pub threads: usize,
    /// The vector instructions that the CPU uses, as `avx512`, `avx2`, `neon` or `scalar`.
    pub simd: &'static str,
    /// Floating point operations a second, in 10⁹: of matrix products that lie in the caches, all threads together; of a
    /// card, what its units do at best in 32 bits.
    pub sgemm_gflop_per_s: f64,
    /// Bytes a second, in 10⁹, read and written in copying, by all threads together or by the card.
    pub copy_gb_per_s: f64,
    /// In the order in which they ran first.
    pub operations: Vec<OperationProfile>,
    /// Of what is computed.
    #[serde(skip)]
    value_bytes: usize,
}

/// What one operation of one layer cost over all the segments; several of a kind in a layer are one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OperationProfile {
    /// The layer, by its name in the weights; a part of the work outside all layers by its own. What the transformer does
    /// before its layers is its first layer's.
    pub layer: String,
    /// What it does.
    pub operation: &'static str,
    /// Seconds.
    pub seconds: f64,
    /// Floating point operations of its products and convolutions, in 10⁹.
    pub gflop: f64,
    /// `gflop` in a second.
    pub gflop_per_s: f64,
    /// Weights, inputs and outputs, each once, in bytes.
    pub bytes: u64,
    /// The time it would take at the machine's best, in its own: at the speed of products or of copying, by what takes
    /// longer.
    pub share_of_floor: f64,
}

impl Profile {
    /// Of no segments yet. Of several cards, the first one's best is measured.
    pub(crate) fn new(device: &str, card: &Card) -> Self {
        let [flop, bytes] =
            card.best().unwrap_or_else(|| [yardstick::flop_per_second(), yardstick::bytes_per_second()]);
        Self {
            segments: 0,
            seconds: 0.0,
            device: device.to_owned(),
            threads: rayon::current_num_threads(),
            simd: ops::simd_name(),
            sgemm_gflop_per_s: flop / 1e9,
            copy_gb_per_s: bytes / 1e9,
            operations: Vec::new(),
            value_bytes: card.value_bytes(),
        }
    }

    /// Adds so many segments that ended just now.
    pub(crate) fn add(&mut self, clock: Clock, segments: usize) {
        self.segments += u32::try_from(segments).unwrap_or(u32::MAX);
        self.seconds += clock.began.elapsed().as_secs_f64();
        for (layer, record) in clock.records {
            self.one(layer, &record);
        }
        for one in &mut self.operations {
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
            let floor = (one.gflop / self.sgemm_gflop_per_s).max(one.bytes as f64 / 1e9 / self.copy_gb_per_s);
            // A coarse clock may have seen no time pass.
            let seconds = one.seconds.max(1e-9);
            (one.gflop_per_s, one.share_of_floor) = (one.gflop / seconds, floor / seconds);
        }
    }

    fn one(&mut self, layer: String, record: &Record) {
        let known = self.operations.iter().position(|o| o.layer == layer && o.operation == record.operation);
        let index = known.unwrap_or_else(|| {
            let operation = record.operation;
            let (seconds, gflop, gflop_per_s, bytes, share_of_floor) = (0.0, 0.0, 0.0, 0, 0.0);
            let new = OperationProfile { layer, operation, seconds, gflop, gflop_per_s, bytes, share_of_floor };
            self.operations.push(new);
            self.operations.len() - 1
        });
        let one = &mut self.operations[index];
        one.seconds += record.took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let gflop = record.cost.flop as f64 / 1e9;
        one.gflop += gflop;
        one.bytes += (record.cost.values * self.value_bytes) as u64;
    }
}

/// Takes down how long the parts of one segment took.
pub(crate) struct Clock {
    began: Instant,
    part_began: Instant,
    recording: Recording,
    records: Vec<(String, Record)>,
    /// Where those of this part begin.
    part_first: usize,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { began: now, part_began: now, recording: Recording::begin(), records: Vec::new(), part_first: 0 }
    }
}

impl Watcher for Clock {
    /// What ran since the module before is this one's.
    fn output(&mut self, name: &str, _: &dyn Fn() -> TensorData) {
        self.records.extend(self.recording.take().into_iter().map(|record| (name.to_owned(), record)));
    }

    /// What the part took beside its operations is its own.
    fn part(&mut self, name: &'static str) {
        self.output(name, &|| unreachable!("nobody looks at the values"));
        let operations = self.records[self.part_first..].iter().map(|(_, record)| record.took).sum();
        let took = self.part_began.elapsed().saturating_sub(operations);
        self.records.push((name.to_owned(), Record { operation: "rest", took, cost: ops::Cost::default() }));
        (self.part_began, self.part_first) = (Instant::now(), self.records.len());
    }
}
