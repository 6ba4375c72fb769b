//! The interface of all decoders.

use symphonia::core::audio::Channels;
use symphonia::core::errors::Error;

use super::error::DecodeError;
use super::guard::translate;

/// What a packet decodes to.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) rate_hz: u32,
    pub(super) channels: Channels,
    pub(super) frames: usize,
}

/// Why a packet could not be decoded.
#[derive(Debug)]
pub(super) enum Failure {
    /// The packet is damaged; the next one may be fine.
    Packet(String),
    /// The stream cannot be decoded.
    Stream(DecodeError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::DecodeError(what) => Self::Packet(what.to_owned()),
            Error::IoError(_) => Self::Packet("a packet is too short".into()),
            error => Self::Stream(translate(error)),
        }
    }
}

/// A decoder of the packets of one stream.
pub(super) trait Codec: Send + Sync {
    /// Decodes a packet and replaces the content of `out` by its interleaved samples.
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure>;

    /// Forgets the packets before, after a loss.
    fn reset(&mut self);

    /// Returns whether all samples so far contradict the checksum in the header.
    fn is_checksum_wrong(&mut self) -> bool {
        false
    }
}
