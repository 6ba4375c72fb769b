//! A device with networks loaded.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{DType, Device};
use burn_std::id::StreamId;
use vocalizer_kernels::gemm;

use crate::Error;
use crate::network_file::NetworkFile;
use crate::networks::{Format, Network, Outputs, Segment, Watcher};
use crate::weights::WeightsError;

/// A device with every network of a model.
pub(crate) struct LoadedDevice {
    device: Device,
    /// Its id, such as `cuda:0`.
    pub(crate) id: String,
    /// Whether its work is asynchronous and may fail.
    is_gpu: bool,
    format: Format,
    /// The single queue of its work. By default, each thread would get its own queue with its own memory.
    queue: StreamId,
    networks: Vec<Box<dyn Network>>,
    /// Segments per batch.
    batch: AtomicUsize,
}

impl LoadedDevice {
    /// Returns the CPU, without networks, with weights packed in this precision; values are of 32 bits.
    pub(crate) fn cpu(packed: gemm::Precision) -> Self {
        Self::new(Device::flex(), "cpu".to_owned(), false, Format { values: DType::F32, packed })
    }

    /// Returns a GPU, without networks.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn gpu(gpu: &crate::gpus::Gpu, precision: crate::Precision) -> Self {
        use crate::Precision;

        let values = match precision {
            Precision::F32 | Precision::Auto | Precision::Int16 | Precision::Int8 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
        };
        let format = Format { values, packed: gemm::Precision::F32 };
        Self::new(Device::from(gpu.device.clone()), gpu.id.clone(), true, format)
    }

    fn new(device: Device, id: String, is_gpu: bool, format: Format) -> Self {
        let queue = StreamId::allocate();
        Self { device, id, is_gpu, format, queue, networks: Vec::new(), batch: AtomicUsize::new(1) }
    }

    /// Runs work in the device's queue. Returns a GPU's error or panic as [`Error::Device`].
    fn attempt<T>(&self, work: impl FnOnce() -> Result<T, String>) -> Result<T, Error> {
        let done = if self.is_gpu { guarded(|| self.queue.executes(work)) } else { work() };
        done.map_err(|why| Error::device(&self.id, &why))
    }

    /// Loads a network.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails, [`Error::WeightsFile`] if the file lacks a tensor.
    pub(crate) fn load(&mut self, file: &NetworkFile) -> Result<(), Error> {
        let network = self.attempt(|| Ok(self.network(file)))?;
        self.networks.push(network.map_err(|source| file.wrong(source))?);
        Ok(())
    }

    fn network(&self, NetworkFile { member, file, .. }: &NetworkFile) -> Result<Box<dyn Network>, WeightsError> {
        member.config.load(&member.stems, file, &self.device, self.format)
    }

    /// Unloads the networks and frees unused memory.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        self.networks.clear();
        self.clean()
    }

    /// Frees unused memory.
    fn clean(&self) -> Result<(), Error> {
        self.attempt(|| {
            self.device.memory_cleanup();
            Ok(())
        })
    }

    /// Returns whether the device supports its precision.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn has_precision(&self) -> bool {
        self.device.supports_dtype(self.format.values)
    }

    /// Returns the device memory in use, including what is kept for reuse. `None` for the CPU.
    pub(crate) fn reserved_bytes(&self) -> Option<u64> {
        self.attempt(|| Ok(self.device.memory_pool_usage().map(|usage| usage.bytes_reserved))).ok().flatten()
    }

    /// Returns a GPU's peak rates: floating point operations in 32 bits, and bytes copied, per second.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn best(&self) -> Option<[f64; 2]> {
        use burn::tensor::{MemoryAccess, ThroughputKey, ThroughputMode};
        use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
        let compute = ThroughputMode::ComputeDirect { dtype: ElemType::Float(FloatKind::F32) };
        let keys = [compute, ThroughputMode::memory(MemoryAccess::Copy)].map(|mode| ThroughputKey { mode });
        let [compute, copy] = self.device.performance_stats(&keys).try_into().ok()?;
        Some([compute.value.ok()?.ops_per_s(), copy.value.ok()?.bytes_per_s(&copy.key)])
    }

    /// The CPU is measured by `roofline`.
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    pub(crate) fn best(&self) -> Option<[f64; 2]> {
        None
    }

    /// Bytes per value in the network's computations.
    pub(crate) fn value_bytes(&self) -> usize {
        self.format.values.size()
    }

    pub(crate) fn batch(&self) -> usize {
        self.batch.load(Ordering::Relaxed)
    }

    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn set_batch(&self, batch: usize) {
        self.batch.store(batch.max(1), Ordering::Relaxed);
    }

    /// Returns how many batches to submit before reading the first result, so that the device never idles.
    pub(crate) fn depth(&self) -> usize {
        if self.is_gpu { 2 } else { 1 }
    }

    /// Starts to separate segments of at most `segment_frames`, all of one length. On a GPU the work is only enqueued;
    /// [`Pending::finish`] reports its errors.
    ///
    /// # Shapes
    ///
    /// - `segments`: `[batch][2][frames]`
    pub(crate) fn submit(&self, work: Work, watcher: &mut dyn Watcher) -> Pending<'_> {
        let outputs = self.forward(&work.part(&work.segments), watcher);
        Pending { card: self, work, outputs }
    }

    fn forward(
        &self,
        Part { network, wanted, segments }: &Part<'_>,
        watcher: &mut dyn Watcher,
    ) -> Result<Outputs, Error> {
        self.attempt(|| self.networks[*network].submit(segments, wanted, watcher))
    }

    /// Separates segments and waits for the result.
    pub(crate) fn separate(&self, part: &Part<'_>, watcher: &mut dyn Watcher) -> Result<Vec<Vec<Segment>>, Error> {
        let outputs = self.forward(part, watcher)?;
        self.attempt(|| outputs(watcher))
    }
}

/// Segments for one network of a model.
pub(crate) struct Work {
    /// The network's index.
    pub(crate) network: usize,
    /// Positions of the wanted stems in the network's sources.
    pub(crate) wanted: Vec<usize>,
    pub(crate) segments: Vec<Segment>,
}

/// Some of the segments of [`Work`].
pub(crate) struct Part<'a> {
    pub(crate) network: usize,
    pub(crate) wanted: &'a [usize],
    pub(crate) segments: &'a [Segment],
}

impl Work {
    fn part<'a>(&'a self, segments: &'a [Segment]) -> Part<'a> {
        Part { network: self.network, wanted: &self.wanted, segments }
    }
}

/// A batch that was submitted to a device.
pub(crate) struct Pending<'a> {
    card: &'a LoadedDevice,
    work: Work,
    outputs: Result<Outputs, Error>,
}

impl Pending<'_> {
    /// Waits for the stems of each segment. If the device fails, retries with smaller batches, and limits later batches
    /// to the size that worked.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if it fails with a single segment.
    ///
    /// # Shapes
    ///
    /// - output: `[batch][wanted][2][frames]`
    pub(crate) fn finish(self, watcher: &mut dyn Watcher) -> Result<Vec<Vec<Segment>>, Error> {
        let Self { card, work, outputs } = self;
        // The values are read from the device only now, so its errors show up here.
        if let Ok(stems) = outputs.and_then(|outputs| card.attempt(|| outputs(watcher))) {
            return Ok(stems);
        }
        let mut batch = work.segments.len();
        loop {
            // Retries even a single segment, since unused memory is freed first.
            batch = batch.div_ceil(2);
            let parts = card.clean().and_then(|()| {
                let parts = work.segments.chunks(batch).map(|segments| card.separate(&work.part(segments), watcher));
                parts.collect::<Result<Vec<_>, _>>()
            });
            match parts {
                Ok(parts) => {
                    card.batch.fetch_min(batch, Ordering::Relaxed);
                    return Ok(parts.into_iter().flatten().collect());
                }
                Err(error) if batch == 1 => return Err(error),
                Err(_) => {}
            }
        }
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
use crate::gpus::guarded;

/// Without GPU support, there are no panics to catch.
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    work()
}

#[cfg(all(test, any(feature = "wgpu", feature = "cuda")))]
mod tests {
    use std::path::Path;

    use super::*;

    fn on(mut card: LoadedDevice) -> (LoadedDevice, usize) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-4s.safetensors");
        let file = NetworkFile::open(golden, None, &[]).expect("a network");
        card.load(&file).expect("a card");
        (card, file.member.config.segment_frames())
    }

    fn segments(count: usize, frames: usize) -> Vec<Segment> {
        let tone = |of: usize| (0..frames).map(|i| (i as f32 * 0.003 * (of + 1) as f32).sin()).collect::<Vec<f32>>();
        (0..count).map(|of| [tone(of), tone(of + 1)]).collect()
    }

    /// A GPU that runs out of memory in a song loses nothing: the same segments are retried in smaller batches.
    #[test]
    fn failed_batch_is_retried_in_smaller_batches() {
        let Some((found, _one)) = crate::gpus::for_tests().filter(|(found, _)| found.is_software) else { return };
        let (card, frames) = on(LoadedDevice::gpu(&found, crate::Precision::F32));
        let (cpu, _) = on(LoadedDevice::cpu(gemm::Precision::F32));
        card.set_batch(24);
        let (segments, wanted) = (segments(24, frames), [0, 1, 2, 3]);
        let work = Work { network: 0, wanted: wanted.to_vec(), segments: segments.clone() };
        let stems = card.submit(work, &mut ()).finish(&mut ()).unwrap();
        assert_eq!((stems.len(), card.batch()), (24, 12));
        for at in [0, 11, 12, 23] {
            let part = Part { network: 0, wanted: &wanted, segments: &segments[at..=at] };
            let alone = cpu.separate(&part, &mut ()).unwrap().remove(0);
            let apart = alone.iter().flatten().flatten().zip(stems[at].iter().flatten().flatten());
            assert!(apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-4, "segment {at}");
        }
    }

    /// Two devices of one model take turns; the results keep the song's order.
    #[test]
    fn segments_are_spread_over_devices() {
        use crate::{ComputeOptions, Model, Separation, SeparationOptions, SongStatistics};
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-4s.safetensors");
        let compute = ComputeOptions { device: crate::DeviceChoice::Cpu, ..ComputeOptions::default() };
        let song: Vec<_> = (0..300_000).map(|i| (i as f32 * 0.01).sin()).map(|x| [x, -0.5 * x]).collect();
        let split = |model: &Model| {
            let statistics = SongStatistics::new(song.len() as u64, 0.0, 0.5);
            let mut separation =
                Separation::new(model, model.sources(), statistics, &SeparationOptions::default()).unwrap();
            separation.push(&song);
            let mut stems = vec![Vec::new(); 4];
            while separation.step().unwrap() {
                separation.drain(&mut stems);
            }
            assert!(separation.is_done());
            stems
        };
        let one = split(&Model::from_file(&golden, &compute).unwrap());
        let mut model = Model::from_file(&golden, &compute).unwrap();
        for batch in [3, 1] {
            let (card, _) = on(LoadedDevice::cpu(gemm::Precision::F32));
            card.set_batch(batch);
            model.cards.push(card);
        }
        assert!(one == split(&model) && one == split(&model), "the stems of one card");
    }
}
