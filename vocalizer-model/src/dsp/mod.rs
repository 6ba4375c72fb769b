//! Signal processing around the network, on the CPU.

pub(crate) mod chunk;
pub(crate) mod fades;
pub(crate) mod mean;
pub(crate) mod spectra;
pub(crate) mod stft;
