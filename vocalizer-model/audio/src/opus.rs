//! The Opus decoder: symphonia demuxes the packets, ropus decodes them.

use ropus::OpusMSDecoder;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;

use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;
use super::layout;
use super::refused;

/// The output rate of the decoder, whatever the source's rate.
const RATE_HZ: i32 = 48_000;
/// The longest packet (120 ms) in frames.
const LONGEST: i32 = 5_760;
const MAX_FRAMES: usize = LONGEST.unsigned_abs() as usize;

pub(super) struct OpusCodec {
    decoder: OpusMSDecoder,
    gain: f32,
    layout: Channels,
    channels: usize,
    decoded: Vec<i16>,
}

impl OpusCodec {
    /// Creates a decoder from the identification header of RFC 7845, which every container carries. In MP4 its numbers
    /// are big-endian.
    pub(super) fn new(params: &AudioCodecParameters, in_mp4: bool) -> std::result::Result<Self, DecodeError> {
        let malformed = |what: &str| DecodeError::Malformed(format!("the Opus header {what}"));
        let head = params.extra_data.as_deref().unwrap_or_default();
        let Some((fixed, table)) = head.split_first_chunk::<19>() else {
            return Err(malformed("is missing or truncated"));
        };
        let number = |at: usize| {
            let bytes = [fixed[at], fixed[at + 1]];
            if in_mp4 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
        };
        let channels = usize::from(fixed[9]);
        let (streams, coupled, mapping) = match (fixed[18], channels) {
            (0, 1) => (1, 0, vec![0]),
            (0, 2) => (1, 1, vec![0, 1]),
            (1 | 255, 1..=8) => {
                let Some((&[streams, coupled], mapping)) = table.split_first_chunk::<2>() else {
                    return Err(malformed("is truncated"));
                };
                let mapping = mapping.get(..channels).ok_or_else(|| malformed("is truncated"))?;
                (i32::from(streams), i32::from(coupled), mapping.to_vec())
            }
            (0 | 1 | 255, _) => return Err(malformed(&format!("states {channels} channels"))),
            (2 | 3, _) => return Err(refused::codec("ambisonic Opus")),
            (family, _) => return Err(refused::codec(&format!("Opus with the mapping family {family}"))),
        };
        // The channels of family 255 have no positions.
        let layout = if fixed[18] == 255 { Channels::Discrete(fixed[9].into()) } else { layout::of_vorbis(fixed[9]) };
        let decoder = OpusMSDecoder::new(RATE_HZ, i32::from(fixed[9]), streams, coupled, &mapping)
            .map_err(|_| malformed("is inconsistent"))?;
        Ok(Self {
            decoder,
            gain: 10_f32.powf(f32::from(number(16).cast_signed()) / (20.0 * 256.0)) / 32_768.0,
            layout,
            channels,
            decoded: vec![0; channels * MAX_FRAMES],
        })
    }
}

impl Codec for OpusCodec {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let failed = |what: &str| Failure::Packet(format!("opus: {what}"));
        let length =
            i32::try_from(packet.len()).ok().filter(|&length| length > 0).ok_or_else(|| failed("empty packet"))?;
        let decoded = self.decoder.decode(Some(packet), length, &mut self.decoded, LONGEST, false);
        let frames = decoded.ok().and_then(|frames| usize::try_from(frames).ok());
        let frames = frames.filter(|&frames| frames <= MAX_FRAMES).ok_or_else(|| failed("undecodable packet"))?;
        out.clear();
        let samples = self.decoded.get(..frames * self.channels).unwrap_or_default();
        out.extend(samples.iter().map(|&sample| f32::from(sample) * self.gain));
        Ok(Shape { rate_hz: RATE_HZ.unsigned_abs(), channels: self.layout.clone(), frames })
    }

    fn reset(&mut self) {}
}
