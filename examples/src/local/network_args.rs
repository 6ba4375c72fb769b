//! Arguments of the commands that run a network: how songs are cut, and what computes.

use clap::Args;
use serde_json::{Value, json};
use vocalizer_model::{ComputeOptions, DeviceChoice, Error, Precision, SeparationOptions, set_threads};

pub(super) const QUALITY: &str = "Quality";
pub(super) const COMPUTE: &str = "Computing";

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Passes with random time shifts, which are averaged: slower, slightly better
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100), help_heading = QUALITY)]
    shifts: u32,
    /// Seed of the random shifts
    #[arg(long, value_name = "S", default_value_t = 0, help_heading = QUALITY)]
    seed: u64,
    /// Overlap of consecutive segments, as a fraction of a segment [default: as the model's authors; htdemucs: 0.25]
    #[arg(long, value_name = "SHARE", help_heading = QUALITY)]
    overlap: Option<f64>,
    /// Segment length in seconds; shorter segments use less memory and give worse results
    #[arg(long, value_name = "SECONDS", help_heading = QUALITY)]
    segment: Option<f64>,

    /// Compute device: auto, cpu, wgpu or cuda, optionally with GPU numbers, as in cuda:1, cuda:0,2 or cuda:all (see `vocalizer devices`)
    #[arg(short, long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto, value_parser = device, help_heading = COMPUTE)]
    device: DeviceChoice,
    /// Number format: auto (see `vocalizer devices`) or f32, which is exact; on the CPU also bf16, int16 or int8, on GPUs also f16 or bf16
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::Auto, help_heading = COMPUTE)]
    precision: Precision,
    /// Batch size on a GPU, in segments [default: as many as fit into its memory, up to 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = COMPUTE)]
    batch: Option<u16>,
    /// Compute threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = COMPUTE)]
    threads: Option<u16>,
}

impl NetworkArgs {
    pub(super) fn separation(&self) -> SeparationOptions {
        let mut options = SeparationOptions::default();
        options.overlap = self.overlap;
        options.segment_s = self.segment;
        options.shifts = self.shifts;
        options.seed = self.seed;
        options
    }

    pub(super) fn compute(&self) -> ComputeOptions {
        ComputeOptions::default()
            .with_device(self.device.clone())
            .with_precision(self.precision)
            .with_batch(self.batch.map(usize::from))
    }

    /// Returns the precisions of earlier stems that are as good as those of this run: with `auto`, also the most exact one.
    pub(super) fn accepted_precisions(&self) -> Vec<Precision> {
        let mut accepted = self.compute().precisions();
        if self.precision == Precision::Auto && !accepted.contains(&Precision::F32) {
            accepted.push(Precision::F32);
        }
        accepted
    }

    /// Starts as many threads as wanted.
    ///
    /// # Errors
    ///
    /// Those of [`set_threads`].
    pub(super) fn set_threads(&self) -> Result<(), Error> {
        self.threads.map_or(Ok(()), |threads| set_threads(threads.into()))
    }

    /// Returns the arguments that change the stems, and the precision that was computed in, as manifests and results of `evaluate`
    /// record them.
    pub(super) fn recorded(&self, precision: Precision) -> Value {
        // The seed does not matter without random shifts.
        let seed = if self.shifts == 0 { 0 } else { self.seed };
        json!({
            "shifts": self.shifts, "seed": seed, "overlap": self.overlap, "segment_s": self.segment,
            "precision": precision.to_string(),
        })
    }
}

/// Parses a device. Demucs calls Apple's GPUs `mps`.
fn device(text: &str) -> Result<DeviceChoice, String> {
    if text == "mps" {
        return Err("Apple's GPUs are called wgpu here: use --device wgpu".into());
    }
    text.parse().map_err(|e: Error| e.to_string())
}
