//! The arithmetic around the network that stays on the host.

pub(crate) mod chunk;
pub(crate) mod stft;
