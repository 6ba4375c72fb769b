//! A device with networks loaded.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{DType, Device, Tensor, TensorData, Transaction};
use burn_std::id::StreamId;
use rayon::prelude::*;

use crate::Error;
use crate::device::Precision;
use crate::htdemucs::{Htdemucs, Watcher};
use crate::network_file::{Member, NetworkFile};
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use crate::ops::{settle, spectrum};
use crate::weights::WeightsError;

/// A network on a device.
struct Network {
    network: Htdemucs,
    /// Tables for spectra on the GPU. If `None`, the CPU computes the spectra.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    tables: Option<Tensor<1>>,
}

/// One segment: left, right.
pub(crate) type Segment = [Vec<f32>; 2];

/// A device with every network of a model.
pub(crate) struct LoadedDevice {
    device: Device,
    /// Its id, such as `cuda:0`.
    pub(crate) id: String,
    /// Whether its work is asynchronous and may fail.
    is_gpu: bool,
    dtype: DType,
    /// The single queue of its work. By default, each thread would get its own queue with its own memory.
    queue: StreamId,
    networks: Vec<Network>,
    /// Segments per batch.
    batch: AtomicUsize,
}

impl LoadedDevice {
    /// Returns the CPU, without networks.
    pub(crate) fn cpu() -> Self {
        Self::new(Device::flex(), "cpu".to_owned(), false, Precision::F32)
    }

    /// Returns a GPU, without networks.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn gpu(gpu: &crate::gpus::Gpu, precision: Precision) -> Self {
        Self::new(Device::from(gpu.device.clone()), gpu.id.clone(), true, precision)
    }

    fn new(device: Device, id: String, is_gpu: bool, precision: Precision) -> Self {
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
        };
        let queue = StreamId::allocate();
        Self { device, id, is_gpu, dtype, queue, networks: Vec::new(), batch: AtomicUsize::new(1) }
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

    fn network(&self, NetworkFile { member, file, .. }: &NetworkFile) -> Result<Network, WeightsError> {
        Ok(Network {
            network: Htdemucs::load(&member.config, file, &self.device, self.dtype)?,
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            tables: spectrum::supports(&self.device, member.config.nfft).then(|| {
                let tables = member.stft.tables();
                Tensor::from_data(TensorData::new(tables, [3 * member.config.nfft]), (&self.device, DType::F32))
            }),
        })
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
        self.device.supports_dtype(self.dtype)
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
        self.dtype.size()
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

    /// Starts to separate segments of at most `segment_frames`, all of one length. Shorter segments are padded with
    /// silence. On a GPU the work is only enqueued; [`Pending::finish`] reports its errors.
    ///
    /// # Shapes
    ///
    /// - `segments`: `[batch][2][frames]`
    pub(crate) fn submit<'a>(
        &'a self,
        (index, member): (usize, &'a Member),
        segments: Vec<Segment>,
        watcher: &mut dyn Watcher,
    ) -> Pending<'a> {
        let outputs = self.forward((index, member), &segments, watcher);
        Pending { card: self, index, member, segments, outputs }
    }

    fn forward(
        &self,
        (index, member): (usize, &Member),
        segments: &[Segment],
        watcher: &mut dyn Watcher,
    ) -> Result<Outputs, Error> {
        let samples = member.config.segment_frames;
        let (batch, channels) = (segments.len(), 2);
        let mut signals: Vec<Vec<f32>> = segments.iter().flatten().cloned().collect();
        signals.par_iter_mut().for_each(|signal| signal.resize(samples, 0.0));
        let network = &self.networks[index];
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if let Some(tables) = &network.tables {
            let wave = TensorData::new(signals.concat(), [batch, channels, samples]);
            return self.attempt(|| {
                let wave = Tensor::from_data(wave, (&self.device, DType::F32));
                let (x, xt, undo) = spectrum::analyse(wave, tables, self.dtype);
                settle(&self.device);
                watcher.part("stft");
                let (x, xt) = network.network.forward(x, xt, watcher);
                Ok(Outputs::Stems(spectrum::synthesise(x, xt, undo, tables)))
            });
        }
        let (bins, frames) = (member.stft.bins(), member.stft.frames(samples));
        let mut spectrum = member.stft.analyse_all(&signals);
        let mut wave = signals.concat();
        let each = |values: &mut [f32]| {
            let len = values.len() / batch;
            values.chunks_mut(len).map(Scale::take).collect::<Vec<_>>()
        };
        let scales = each(&mut spectrum).into_iter().zip(each(&mut wave)).collect();
        let spectrum = TensorData::new(spectrum, [batch, 2 * channels, bins, frames]);
        let wave = TensorData::new(wave, [batch, channels, samples]);
        let forward = || {
            let x = Tensor::from_data(spectrum, (&self.device, self.dtype));
            let xt = Tensor::from_data(wave, (&self.device, self.dtype));
            watcher.part("stft");
            network.network.forward(x, xt, watcher)
        };
        let (x, xt) = self.attempt(|| Ok(forward()))?;
        Ok(Outputs::Branches { x, xt, scales })
    }

    /// Separates segments and waits for the result.
    pub(crate) fn separate(
        &self,
        member: (usize, &Member),
        segments: &[Segment],
        watcher: &mut dyn Watcher,
    ) -> Result<Vec<Vec<Segment>>, Error> {
        self.forward(member, segments, watcher)?.read(self, member.1, frames(segments), watcher)
    }
}

/// Returns the length of the segments, which is the same for all.
fn frames(segments: &[Segment]) -> usize {
    segments.first().map_or(0, |[left, _]| left.len())
}

/// The outputs of a batch, not yet read from the device.
#[cfg_attr(
    any(feature = "wgpu", feature = "cuda"),
    expect(clippy::large_enum_variant, reason = "one per batch, never in a list")
)]
enum Outputs {
    /// Spectra and waveforms.
    Branches {
        x: Tensor<4>,
        xt: Tensor<3>,
        /// Normalisation of spectrum and waveform, for each segment.
        scales: Vec<(Scale, Scale)>,
    },
    /// The stems, `[batch, sources * 2, samples]`.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    Stems(Tensor<3>),
}

impl Outputs {
    /// Waits for the outputs and reads them.
    ///
    /// # Shapes
    ///
    /// - output: `[batch][sources][2][wanted]`
    fn read(
        self,
        card: &LoadedDevice,
        member: &Member,
        wanted: usize,
        watcher: &mut dyn Watcher,
    ) -> Result<Vec<Vec<Segment>>, Error> {
        let (x, xt, scales) = match self {
            Self::Branches { x, xt, scales } => (x, xt, scales),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            Self::Stems(stems) => {
                let [batch, signals, samples] = stems.dims();
                let stems = card.attempt(|| {
                    let stems = stems.try_into_data().map_err(|e| e.to_string())?;
                    // The values are read from the device only now, so its errors show up here.
                    let stems = floats(&stems)?.par_chunks(samples).map(|signal| signal[..wanted].to_vec());
                    Ok(stems.collect())
                })?;
                watcher.part("inverse stft");
                return Ok(pairs(stems, [batch, signals / 2]));
            }
        };
        let [x, xt] = card.attempt(|| {
            let read = Transaction::default().register(x).register(xt).try_execute().map_err(|e| e.to_string())?;
            let read: Vec<_> = read.into_iter().map(|data| data.convert::<f32>()).collect();
            read.try_into().map_err(|_| "the network did not return two outputs".to_owned())
        })?;
        // The values are read from the device only now, so its errors show up here.
        let (x, xt) = card.attempt(|| Ok((floats(&x)?, floats(&xt)?)))?;
        let samples = member.config.segment_frames;
        let plane = 2 * member.stft.bins() * member.stft.frames(samples);
        let signals = 2 * member.config.sources.len();
        let mut out: Vec<Vec<f32>> = xt.par_chunks(samples).map(<[f32]>::to_vec).collect();
        out.par_iter_mut().zip(x.par_chunks(plane)).enumerate().for_each(|(i, (signal, planes))| {
            let (scale, scale_t) = scales[i / signals];
            signal.iter_mut().for_each(|v| *v = scale_t.undo(*v));
            member.stft.synthesise(planes, |v| scale.undo(v), signal);
            signal.truncate(wanted);
        });
        watcher.part("inverse stft");
        Ok(pairs(out, [scales.len(), signals / 2]))
    }
}

/// Groups signals, alternately left and right, as `[batch][sources][2]`.
fn pairs(signals: Vec<Vec<f32>>, [batch, sources]: [usize; 2]) -> Vec<Vec<Segment>> {
    let mut signals = signals.into_iter();
    let mut pair = || Some([signals.next()?, signals.next()?]);
    (0..batch).map(|_| (0..sources).filter_map(|_| pair()).collect()).collect()
}

fn floats(data: &TensorData) -> Result<&[f32], String> {
    data.as_slice().map_err(|e| e.to_string())
}

/// A batch that was submitted to a device.
pub(crate) struct Pending<'a> {
    card: &'a LoadedDevice,
    index: usize,
    member: &'a Member,
    segments: Vec<Segment>,
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
    /// - output: `[batch][sources][2][frames]`
    pub(crate) fn finish(self, watcher: &mut dyn Watcher) -> Result<Vec<Vec<Segment>>, Error> {
        let Self { card, index, member, segments, outputs } = self;
        if let Ok(stems) = outputs.and_then(|outputs| outputs.read(card, member, frames(&segments), watcher)) {
            return Ok(stems);
        }
        let mut batch = segments.len();
        loop {
            // Retries even a single segment, since unused memory is freed first.
            batch = batch.div_ceil(2);
            let parts = card.clean().and_then(|()| {
                let parts = segments.chunks(batch).map(|part| card.separate((index, member), part, watcher));
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

/// Returns the sum of `of` over the values, in an order that does not depend on the number of threads.
fn sum(values: &[f32], of: impl Fn(f64) -> f64 + Sync) -> f64 {
    let parts = values.par_chunks(1 << 14).map(|part| part.iter().map(|&v| of(f64::from(v))).sum::<f64>());
    parts.collect::<Vec<_>>().into_iter().sum()
}

/// The normalisation of one network input to mean 0 and unbiased standard deviation 1.
#[derive(Clone, Copy)]
struct Scale {
    mean: f32,
    std: f32,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts below 2^53; used as f32")]
    fn take(values: &mut [f32]) -> Self {
        let n = values.len() as f64;
        let mean = sum(values, |v| v) / n;
        let squares = sum(values, |v| (v - mean).powi(2));
        let (mean, std) = (mean as f32, (squares / (n - 1.0).max(1.0)).sqrt() as f32);
        let divisor = 1e-5 + std;
        values.par_iter_mut().for_each(|v| *v = (*v - mean) / divisor);
        Self { mean, std }
    }

    fn undo(self, value: f32) -> f32 {
        value * self.std + self.mean
    }
}

#[cfg(all(test, any(feature = "wgpu", feature = "cuda")))]
mod tests {
    use std::path::Path;

    use super::*;

    fn on(mut card: LoadedDevice) -> (LoadedDevice, Member) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-4s.safetensors");
        let file = NetworkFile::open(golden, None, &[]).expect("a network");
        card.load(&file).expect("a card");
        (card, file.member)
    }

    fn segments(count: usize, frames: usize) -> Vec<Segment> {
        let tone = |of: usize| (0..frames).map(|i| (i as f32 * 0.003 * (of + 1) as f32).sin()).collect::<Vec<f32>>();
        (0..count).map(|of| [tone(of), tone(of + 1)]).collect()
    }

    /// A GPU that runs out of memory in a song loses nothing: the same segments are retried in smaller batches.
    #[test]
    fn failed_batch_is_retried_in_smaller_batches() {
        let Some((found, _one)) = crate::gpus::for_tests().filter(|(found, _)| found.is_software) else { return };
        let (card, member) = on(LoadedDevice::gpu(&found, Precision::F32));
        let (cpu, _) = on(LoadedDevice::cpu());
        card.set_batch(24);
        let segments = segments(24, member.config.segment_frames);
        let stems = card.submit((0, &member), segments.clone(), &mut ()).finish(&mut ()).unwrap();
        assert_eq!((stems.len(), card.batch()), (24, 12));
        for at in [0, 11, 12, 23] {
            let alone = cpu.separate((0, &member), &segments[at..=at], &mut ()).unwrap().remove(0);
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
            let (card, _) = on(LoadedDevice::cpu());
            card.set_batch(batch);
            model.cards.push(card);
        }
        assert!(one == split(&model) && one == split(&model), "the stems of one card");
    }
}
