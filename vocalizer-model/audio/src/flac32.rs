//! FLAC of 32 bits per sample, which symphonia decodes wrongly: the difference of two channels needs 33 bits.

use std::io::Cursor;

use flac_codec::decode::FlacSampleReader;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;

use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;

/// The length of STREAMINFO.
const INFO_BYTES: usize = 34;
/// Full scale of 32 bits.
const SCALE: f64 = 2_147_483_648.0;

/// The decoder of FLAC frames of 32 bits.
pub(super) struct Flac32 {
    /// The start of a FLAC file, without a length and without a checksum: each frame is decoded as a file of its own.
    head: Vec<u8>,
    rate_hz: u32,
    channels: Channels,
    samples: Vec<i32>,
}

impl Flac32 {
    pub(super) fn new(params: &AudioCodecParameters) -> Result<Self, DecodeError> {
        let malformed = || DecodeError::Malformed("the FLAC header is incomplete".into());
        let info =
            params.extra_data.as_deref().and_then(|data| data.first_chunk::<INFO_BYTES>()).ok_or_else(malformed)?;
        let mut info = *info;
        // Blocks of any size; no sizes of frames, no length, no checksum.
        info[..4].copy_from_slice(&[0, 16, 0xff, 0xff]);
        info[4..10].fill(0);
        info[13] &= 0xf0;
        info[14..].fill(0);
        let rate_hz = u32::from_be_bytes([0, info[10], info[11], info[12]]) >> 4;
        let channels = u16::from((info[12] >> 1) & 7) + 1;
        let head = [b"fLaC\x80\0\0\x22".as_slice(), &info].concat();
        let channels = params.channels.clone().unwrap_or(Channels::Discrete(channels));
        Ok(Self { head, rate_hz, channels, samples: Vec::new() })
    }
}

impl Codec for Flac32 {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let failed = |error: flac_codec::Error| Failure::Packet(format!("flac: {error}"));
        let file = Cursor::new([self.head.as_slice(), packet].concat());
        self.samples.clear();
        FlacSampleReader::new(file).map_err(failed)?.read_to_end(&mut self.samples).map_err(failed)?;
        out.clear();
        // The rest of the pipeline works in f32.
        out.extend(self.samples.iter().map(|&sample| (f64::from(sample) / SCALE) as f32));
        let frames = self.samples.len() / self.channels.count().max(1);
        Ok(Shape { rate_hz: self.rate_hz, channels: self.channels.clone(), frames })
    }

    fn reset(&mut self) {}
}
