//! The time of a segment by layer and operation.

use std::time::Instant;

use burn::tensor::TensorData;
use serde::Serialize;

use crate::device::Precision;
use crate::loaded_device::LoadedDevice;
use crate::networks::Watcher;
use crate::ops::{self, Record, Recording, roofline};

/// The cost of a song's segments by operation, compared with the machine's peak rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// Number of segments.
    pub segments: u32,
    /// Total seconds of all segments.
    pub seconds: f64,
    /// The devices, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The number format, such as `f32` or `int16`. The peak rates below are measured in f32.
    pub precision: String,
    /// CPU threads used for computing.
    pub threads: usize,
    /// The CPU's vector instructions: `avx512`, `avx2`, `neon` or `scalar`.
    pub simd: &'static str,
    /// Floating point operations per second, in 10⁹: on the CPU, of matrix products that fit into the caches, on all
    /// threads; on a GPU, the peak rate of its units in 32 bits.
    pub sgemm_gflop_per_s: f64,
    /// Bytes read and written per second when copying, in 10⁹, by all threads or by the GPU.
    pub copy_gb_per_s: f64,
    /// The operations, in the order of their first run.
    pub operations: Vec<OperationProfile>,
    /// Bytes per computed value.
    #[serde(skip)]
    value_bytes: usize,
    /// Name of the model that runs, if there are several.
    #[serde(skip)]
    pub(crate) running: Option<&'static str>,
}

/// The cost of one operation of one layer over all segments. Several of a kind in a layer are summed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OperationProfile {
    /// Name of the layer in the weights, or of a part outside the layers, after the name of the model if there are several. What
    /// the transformer does before its layers counts for its first layer.
    pub layer: String,
    /// Name of the operation.
    pub operation: &'static str,
    /// Total seconds.
    pub seconds: f64,
    /// Floating point operations of its products and convolutions, in 10⁹.
    pub gflop: f64,
    /// `gflop` per second.
    pub gflop_per_s: f64,
    /// Bytes of weights, inputs and outputs, each counted once.
    pub bytes: u64,
    /// The minimum time at the machine's peak rates (of products or of copying, whichever takes longer) as a fraction
    /// of the actual time.
    pub share_of_floor: f64,
}

impl Profile {
    /// Creates an empty profile. With several GPUs, it measures the peak rates of the first.
    pub(crate) fn new(device: &str, precision: Precision, card: &LoadedDevice) -> Self {
        let [flop, bytes] = card.best().unwrap_or_else(|| [roofline::flop_per_second(), roofline::bytes_per_second()]);
        Self {
            segments: 0,
            seconds: 0.0,
            device: device.to_owned(),
            precision: precision.to_string(),
            threads: rayon::current_num_threads(),
            simd: ops::simd_name(),
            sgemm_gflop_per_s: flop / 1e9,
            copy_gb_per_s: bytes / 1e9,
            operations: Vec::new(),
            value_bytes: card.value_bytes(),
            running: None,
        }
    }

    /// Adds segments that just finished.
    pub(crate) fn add(&mut self, clock: Clock, segments: usize) {
        self.segments += u32::try_from(segments).unwrap_or(u32::MAX);
        self.seconds += clock.began.elapsed().as_secs_f64();
        for (layer, record) in clock.records {
            let layer = match self.running {
                Some(model) => format!("{model}: {layer}"),
                None => layer,
            };
            self.add_record(layer, &record);
        }
        for one in &mut self.operations {
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
            let floor = (one.gflop / self.sgemm_gflop_per_s).max(one.bytes as f64 / 1e9 / self.copy_gb_per_s);
            // A coarse clock may report zero seconds.
            let seconds = one.seconds.max(1e-9);
            (one.gflop_per_s, one.share_of_floor) = (one.gflop / seconds, floor / seconds);
        }
    }

    fn add_record(&mut self, layer: String, record: &Record) {
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

/// Records how long the parts of a segment take.
pub(crate) struct Clock {
    began: Instant,
    part_began: Instant,
    recording: Recording,
    records: Vec<(String, Record)>,
    /// Index of the first record of the current part.
    part_first: usize,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { began: now, part_began: now, recording: Recording::begin(), records: Vec::new(), part_first: 0 }
    }
}

impl Watcher for Clock {
    fn output(&mut self, name: &str, _: &dyn Fn() -> TensorData) {
        self.ran(name);
    }

    /// Assigns the operations since the previous module to this one.
    fn ran(&mut self, name: &str) {
        self.records.extend(self.recording.take().into_iter().map(|record| (name.to_owned(), record)));
    }

    /// Assigns the time of the part outside its operations to the part itself.
    fn part(&mut self, name: &'static str) {
        self.ran(name);
        let operations = self.records[self.part_first..].iter().map(|(_, record)| record.took).sum();
        let took = self.part_began.elapsed().saturating_sub(operations);
        self.records.push((name.to_owned(), Record { operation: "rest", took, cost: ops::Cost::default() }));
        (self.part_began, self.part_first) = (Instant::now(), self.records.len());
    }
}
