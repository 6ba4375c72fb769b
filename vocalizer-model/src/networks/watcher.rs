//! Observation of the network's modules, for tests and profiles.

use burn::tensor::TensorData;

/// Observes a segment's way through the network.
pub(crate) trait Watcher {
    /// A module has computed its output, which `values` reads.
    fn output(&mut self, _name: &str, _values: &dyn Fn() -> TensorData) {}
    /// A module has run whose output was observed before, because it changes its input in place.
    fn ran(&mut self, _name: &str) {}
    /// A part of the work is done.
    fn part(&mut self, _name: &'static str) {}
}

impl Watcher for () {}
