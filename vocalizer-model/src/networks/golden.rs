//! The reference data: networks with random weights, their inputs and outputs, and the outputs of their modules.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use safetensors::SafeTensors;
use serde_json::Value;

use super::{Segment, Watcher};
use crate::weights::{Dtype, Tensors, WeightsError};

pub(super) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Tensors in memory.
pub(super) struct Stored(pub(super) BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Stored {
    pub(super) fn open(name: &str) -> Self {
        let bytes = std::fs::read(path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().map(|(key, view)| {
            let bytes = view.data().to_vec();
            let values = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (key, (view.shape().to_vec(), values))
        });
        Self(tensors.collect())
    }

    pub(super) fn values(&self, key: &str) -> &[f32] {
        &self.0[key].1
    }

    /// Returns the channels of a signal `[2, samples]`.
    pub(super) fn signal(&self, key: &str) -> Segment {
        let (left, right) = self.values(key).split_at(self.0[key].0[1]);
        [left.to_vec(), right.to_vec()]
    }
}

impl Tensors for Stored {
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.0.get(key).map(|(shape, _)| shape.as_slice())
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        self.0.get(key).map(|_| Dtype::F32)
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let (_, values) = self.0.get(key).ok_or_else(|| WeightsError::MissingKey(key.into()))?;
        Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// Returns the configuration in the metadata of a weights file.
pub(super) fn config(name: &str) -> Value {
    let bytes = std::fs::read(path(name)).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["config"]).unwrap()
}

pub(super) fn decibels(reference: &[f32], got: &[f32]) -> f64 {
    assert_eq!(reference.len(), got.len());
    let signal: f64 = reference.iter().map(|&x| f64::from(x).powi(2)).sum();
    let error: f64 = reference.iter().zip(got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
    10.0 * (signal / error.max(1e-300)).log10()
}

/// Prints a row of the table of exactness, which `-- --nocapture` shows, and checks it.
pub(super) fn check(case: &str, device: &str, what: &str, decibels: f64, least: f64) {
    println!("| {case} | {device} | {what} | {decibels:.1} dB | at least {least} |");
    assert!(decibels >= least, "{case} on {device}, {what}: {decibels:.1} dB");
}

#[derive(serde::Deserialize)]
struct Trace {
    shape: Vec<usize>,
    mean: f64,
    std: f64,
    stride: usize,
    values: Vec<f64>,
}

/// Compares outputs of modules with their traces.
pub(super) struct Comparison {
    case: String,
    traces: BTreeMap<String, Trace>,
    /// The start of the traces' names.
    prefix: &'static str,
    least_db: f64,
    worst_db: f64,
    /// The modules compared.
    pub(super) seen: BTreeSet<String>,
}

impl Comparison {
    pub(super) fn open(case: &str, prefix: &'static str, least_db: f64) -> Self {
        let traces = std::fs::read(path(&format!("{case}.traces.json"))).unwrap();
        let traces = serde_json::from_slice(&traces).unwrap();
        Self { case: case.into(), traces, prefix, least_db, worst_db: f64::INFINITY, seen: BTreeSet::new() }
    }

    pub(super) fn compare(&mut self, name: &str, data: TensorData) {
        let name = format!("{}{name}", self.prefix);
        let Some(trace) = self.traces.get(&name) else { panic!("the reference has no module {name}") };
        assert_eq!(data.shape().to_vec(), trace.shape, "{name}");
        let values: Vec<f32> = data.try_into_vec().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let std = (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - trace.mean).abs() < 1e-4 * trace.std, "{name}: mean {mean}, not {}", trace.mean);
        assert!((std / trace.std - 1.0).abs() < 1e-4, "{name}: deviation {std}, not {}", trace.std);
        let picked: Vec<f32> = values.iter().step_by(trace.stride).take(64).copied().collect();
        let reference: Vec<f32> = trace.values.iter().map(|&v| v as f32).collect();
        let db = decibels(&reference, &picked);
        assert!(db >= self.least_db, "{name}: {db:.1} dB");
        self.worst_db = self.worst_db.min(db);
        self.seen.insert(name);
    }

    /// Adds the worst of the modules to the table of exactness.
    pub(super) fn report(&self) {
        let what = format!("{} modules {}", self.seen.len(), self.prefix);
        check(&self.case, "cpu", what.trim_end(), self.worst_db, self.least_db);
    }
}

impl Watcher for Comparison {
    fn output(&mut self, name: &str, values: &dyn Fn() -> TensorData) {
        // The reference has the residual units of one of SCNet's modules only.
        if self.traces.contains_key(name) || !name.contains(".conv_modules.") {
            self.compare(name, values());
        }
    }
}
