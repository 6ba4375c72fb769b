//! The three ADPCM codecs that songs and samples use: Microsoft's, and IMA's in WAV and in QuickTime.
//!
//! Symphonia's decoders accept neither incomplete blocks nor more than two channels, and they round differently from
//! QuickTime.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::chunks::Samples;
use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;
use super::raw::Packets;

const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1_060, 1_166, 1_282, 1_411, 1_552, 1_707, 1_878, 2_066, 2_272, 2_499, 2_749, 3_024, 3_327, 3_660, 4_026, 4_428,
    4_871, 5_358, 5_894, 6_484, 7_132, 7_845, 8_630, 9_493, 10_442, 11_487, 12_635, 13_899, 15_289, 16_818, 18_500,
    20_350, 22_385, 24_623, 27_086, 29_794, 32_767,
];
const STEP_CHANGES: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];
/// Microsoft's pairs of predictor coefficients, in 64ths.
const COEFFICIENTS: [(i32, i32); 7] = [(64, 0), (128, -64), (0, 0), (48, 16), (60, 0), (115, -52), (98, -58)];
/// Microsoft's factors of the step, in 256ths.
const FACTORS: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
/// The largest step that a factor does not make overflow.
const MAX_DELTA: i32 = i32::MAX / 768;

/// A block of QuickTime's IMA: bytes and frames per channel.
const QUICKTIME_BLOCK: (u16, u32) = (34, 64);

/// Returns how many frames a block of `bytes` bytes has.
pub(super) fn frames_in(codec: AudioCodecId, bytes: u64, channels: u64) -> u64 {
    let channels = channels.max(1);
    let after = |header: u64| bytes.checked_sub(header * channels);
    match codec {
        id::CODEC_ID_ADPCM_MS => after(7).map_or(0, |rest| 2 + rest * 2 / channels),
        id::CODEC_ID_ADPCM_IMA_WAV => after(4).map_or(0, |rest| 1 + rest / (4 * channels) * 8),
        _ => bytes / (u64::from(QUICKTIME_BLOCK.0) * channels) * u64::from(QUICKTIME_BLOCK.1),
    }
}

/// Decodes one block per packet.
pub(super) struct AdpcmCodec {
    codec: AudioCodecId,
    rate_hz: u32,
    channels: Channels,
    /// QuickTime's blocks continue the one before.
    states: Vec<Ima>,
}

impl AdpcmCodec {
    pub(super) fn new(params: &AudioCodecParameters) -> Result<Self, DecodeError> {
        let (Some(rate_hz), Some(channels)) = (params.sample_rate, params.channels.clone()) else {
            return Err(DecodeError::Malformed("the header states no sample rate or no channels".into()));
        };
        let states = vec![Ima::default(); channels.count()];
        Ok(Self { codec: params.codec, rate_hz, channels, states })
    }
}

impl Codec for AdpcmCodec {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let channels = self.states.len();
        let frames = frames_in(self.codec, packet.len() as u64, channels as u64);
        let frames = usize::try_from(frames).unwrap_or(0);
        out.clear();
        out.resize(frames * channels, 0.0);
        let decoded = match self.codec {
            _ if frames == 0 || channels == 0 => None,
            id::CODEC_ID_ADPCM_MS => microsoft(packet, channels, out),
            id::CODEC_ID_ADPCM_IMA_WAV => ima_wav(packet, channels, out),
            _ => quicktime(packet, &mut self.states, out),
        };
        match decoded {
            Some(()) => Ok(Shape { rate_hz: self.rate_hz, channels: self.channels.clone(), frames }),
            None => Err(Failure::Packet("an ADPCM block is damaged".into())),
        }
    }

    fn reset(&mut self) {
        self.states.fill(Ima::default());
    }
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from(i16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])))
}

fn to_float(sample: i32) -> f32 {
    sample as f32 / 32_768.0
}

/// The state of one channel of Microsoft's ADPCM.
#[derive(Debug, Clone, Copy)]
struct Microsoft {
    coefficients: (i32, i32),
    delta: i32,
    last: i32,
    before: i32,
}

impl Microsoft {
    fn step(&mut self, nibble: u8) -> i32 {
        let signed = i32::from(nibble) - if nibble & 8 == 0 { 0 } else { 16 };
        let predicted = (self.last * self.coefficients.0 + self.before * self.coefficients.1) / 64;
        let sample = (predicted + signed * self.delta).clamp(-32_768, 32_767);
        (self.before, self.last) = (self.last, sample);
        let factor = FACTORS.get(usize::from(nibble)).copied().unwrap_or(230);
        self.delta = ((factor * self.delta) >> 8).clamp(16, MAX_DELTA);
        sample
    }
}

fn microsoft(packet: &[u8], channels: usize, out: &mut [f32]) -> Option<()> {
    let field = |n: usize, channel: usize| number(packet, channels + 2 * (n * channels + channel));
    let mut states = Vec::new();
    for channel in 0..channels {
        let coefficients = *COEFFICIENTS.get(usize::from(*packet.get(channel)?))?;
        let (delta, last, before) = (field(0, channel)?, field(1, channel)?, field(2, channel)?);
        *out.get_mut(channel)? = to_float(before);
        *out.get_mut(channels + channel)? = to_float(last);
        states.push(Microsoft { coefficients, delta, last, before });
    }
    let nibbles = packet.get(7 * channels..)?.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for (n, (sample, nibble)) in out.get_mut(2 * channels..)?.iter_mut().zip(nibbles).enumerate() {
        *sample = to_float(states.get_mut(n % channels)?.step(nibble));
    }
    Some(())
}

/// The state of one channel of IMA ADPCM.
#[derive(Debug, Default, Clone, Copy)]
struct Ima {
    sample: i32,
    index: usize,
}

impl Ima {
    fn step(&mut self, nibble: u8, difference: impl Fn(i32, i32) -> i32) -> i32 {
        let magnitude = i32::from(nibble & 7);
        let step = STEPS.get(self.index).copied().unwrap_or(STEPS[88]);
        let change = difference(step, magnitude);
        let sample = if nibble & 8 == 0 { self.sample + change } else { self.sample - change };
        self.sample = sample.clamp(-32_768, 32_767);
        let moved = STEP_CHANGES.get(usize::from(nibble & 7)).copied().unwrap_or(0);
        self.index = self.index.saturating_add_signed(moved as isize).min(88);
        self.sample
    }
}

fn ima_wav(packet: &[u8], channels: usize, out: &mut [f32]) -> Option<()> {
    let mut states = Vec::new();
    for channel in 0..channels {
        let index = usize::from(*packet.get(4 * channel + 2)?);
        let state = Ima { sample: number(packet, 4 * channel)?, index };
        if index > 88 {
            return None;
        }
        *out.get_mut(channel)? = to_float(state.sample);
        states.push(state);
    }
    // Eight samples of a channel, then eight of the next.
    for (n, word) in packet.get(4 * channels..)?.as_chunks::<4>().0.iter().enumerate() {
        let (group, channel) = (n / channels, n % channels);
        let state = states.get_mut(channel)?;
        for (k, nibble) in word.iter().flat_map(|byte| [byte & 15, byte >> 4]).enumerate() {
            let sample = state.step(nibble, |step, magnitude| ((2 * magnitude + 1) * step) >> 3);
            // The last group may lack channels.
            if let Some(place) = out.get_mut((1 + 8 * group + k) * channels + channel) {
                *place = to_float(sample);
            }
        }
    }
    Some(())
}

fn quicktime(packet: &[u8], states: &mut [Ima], out: &mut [f32]) -> Option<()> {
    let channels = states.len();
    for (channel, (state, block)) in states.iter_mut().zip(packet.chunks_exact(34)).enumerate() {
        let (head, body) = block.split_first_chunk::<2>()?;
        let head = i16::from_be_bytes(*head);
        let (sample, index) = (i32::from(head & !0x7f), usize::from(head.cast_unsigned() & 0x7f));
        if index > 88 {
            return None;
        }
        // The header has the high bits of the sample. If they agree with the block before, that is more exact.
        if index != state.index || (sample - state.sample).abs() > 0x7f {
            *state = Ima { sample, index };
        }
        for (k, nibble) in body.iter().flat_map(|byte| [byte & 15, byte >> 4]).enumerate() {
            let sample = state.step(nibble, |step, magnitude| {
                let parts = [(4, step), (2, step >> 1), (1, step >> 2)];
                parts.iter().fold(step >> 3, |sum, (bit, part)| sum + if magnitude & bit == 0 { 0 } else { *part })
            });
            *out.get_mut(k * channels + channel)? = to_float(sample);
        }
    }
    Some(())
}

/// Returns the blocks of QuickTime's ADPCM and the frames in all of them.
pub(super) fn adpcm_packets(channels: u16, samples: Samples) -> (Packets, u64) {
    let (bytes, frames) = QUICKTIME_BLOCK;
    let bytes = bytes.saturating_mul(channels);
    (Packets::Blocks { bytes, frames }, samples.stated_bytes / u64::from(bytes.max(1)) * u64::from(frames))
}
