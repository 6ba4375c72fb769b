//! AAC: LC, HE-AAC with SBR and PS however it is signalled, and more than two channels.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::AudioCodecParameters;
use syom::{AacError, Channel, DecodeOptions, Decoder};

use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;
use super::layout::in_order;
use super::refused;

/// The sample rates by their index in the headers.
const RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The decoder of AAC packets, with or without ADTS headers.
pub(super) struct AacCodec {
    decoder: Decoder,
    /// The configuration of the stream; empty until an ADTS header states it.
    config: Vec<u8>,
    /// Whether the configuration comes from ADTS headers.
    is_adts: bool,
}

impl AacCodec {
    /// Creates a decoder from the configuration in the container, or for ADTS if there is none.
    pub(super) fn new(params: &AudioCodecParameters) -> Result<Self, DecodeError> {
        let mut codec = Self { decoder: Decoder::new(options()), config: Vec::new(), is_adts: false };
        match params.extra_data.as_deref().filter(|config| config.len() >= 2) {
            Some(config) => codec.configure(config.to_vec()).map_err(|error| refuse(&error))?,
            None => codec.is_adts = true,
        }
        Ok(codec)
    }

    fn configure(&mut self, config: Vec<u8>) -> Result<(), AacError> {
        self.decoder.reset();
        self.decoder.set_asc(&config)?;
        self.config = config;
        Ok(())
    }

    fn decode_block(&mut self, block: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let mut shape = None;
        let result = self.decoder.decode_au(block, |frame| {
            let channels = frame.planar.len();
            let from = out.len();
            out.resize(from + frame.samples * channels, 0.0);
            for (channel, plane) in frame.planar.iter().enumerate() {
                let places = out.iter_mut().skip(from + channel).step_by(channels.max(1));
                places.zip(plane.iter()).for_each(|(place, &sample)| *place = sample);
            }
            let labels: Vec<Channel> = frame.meta.labels().collect();
            shape =
                Some(Shape { rate_hz: frame.sample_rate, channels: layout(&labels, channels), frames: frame.samples });
            Ok(())
        });
        match (result, shape) {
            (Ok(()), Some(shape)) => Ok(shape),
            (Ok(()), None) => Err(Failure::Packet("a packet without audio".into())),
            (Err(error), _) => {
                self.reset();
                Err(match error {
                    AacError::Unsupported(_) => Failure::Stream(refuse(&error)),
                    error => Failure::Packet(format!("aac: {error}")),
                })
            }
        }
    }

    /// Decodes an ADTS frame, which may contain several blocks.
    fn decode_adts(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let wrong = || Failure::Packet("an ADTS frame without a valid header".into());
        let &[sync, flags, b2, b3, _, _, b6] = packet.first_chunk::<7>().ok_or_else(wrong)?;
        if sync != 0xff || flags & 0xf6 != 0xf0 {
            return Err(wrong());
        }
        let (object, rate, channels) = ((b2 >> 6) + 1, (b2 >> 2) & 15, ((b2 & 1) << 2) | (b3 >> 6));
        let checked = flags & 1 == 0;
        let mut body = packet.get(if checked { 9 } else { 7 }..).filter(|body| !body.is_empty()).ok_or_else(wrong)?;
        let mut config = vec![object << 3 | rate >> 1, rate << 7 | channels << 3];
        if channels == 0 {
            // The block describes its channels itself, or those of an earlier one hold.
            match program_config(body) {
                Some((described, rest)) => {
                    config.extend(described);
                    body = rest;
                }
                None if self.config.starts_with(&config) => config.clone_from(&self.config),
                None => return Err(Failure::Packet("a first block without a description of its channels".into())),
            }
        }
        if self.config != config {
            self.configure(config).map_err(|error| match error {
                AacError::Unsupported(_) if self.config.is_empty() => Failure::Stream(refuse(&error)),
                error => Failure::Packet(format!("aac: {error}")),
            })?;
        }
        if b6 & 3 != 0 {
            return Err(Failure::Stream(refused::codec("ADTS with several blocks per frame")));
        }
        self.decode_block(body, out)
    }
}

impl Codec for AacCodec {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        out.clear();
        if self.is_adts { self.decode_adts(packet, out) } else { self.decode_block(packet, out) }
    }

    fn reset(&mut self) {
        self.decoder.reset();
        if !self.config.is_empty() && self.decoder.set_asc(&self.config).is_err() {
            self.config.clear();
        }
    }
}

fn options() -> DecodeOptions {
    // The reader has its own limits.
    DecodeOptions::unbounded()
}

fn refuse(error: &AacError) -> DecodeError {
    match error {
        AacError::Unsupported(_) => refused::codec(&format!("AAC of a rare kind ({error})")),
        error => DecodeError::Malformed(format!("the AAC configuration is invalid: {error}")),
    }
}

/// Splits a block that starts with a program configuration element: the element as a part of a configuration, and the rest of
/// the block (ISO/IEC 14496-3, 4.4.1.1).
fn program_config(block: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let bit = |at: usize| block.get(at / 8).map(|byte| byte >> (7 - at % 8) & 1);
    let number =
        |from: usize, count: usize| (from..from + count).try_fold(0, |n, at| Some(n << 1 | usize::from(bit(at)?)));
    if number(0, 3)? != 5 {
        return None;
    }
    // Behind the tag, the profile and the rate.
    let mut at = 3 + 10;
    let counts = [(4, 5), (4, 5), (4, 5), (2, 4), (3, 4), (4, 5)];
    let mut elements = 0;
    for (bits, element_bits) in counts {
        elements += number(at, bits)? * element_bits;
        at += bits;
    }
    for mixdown_bits in [4, 4, 3] {
        at += 1 + number(at, 1)? * mixdown_bits;
    }
    at += elements;
    let described = (3..at).map(bit).collect::<Option<Vec<u8>>>()?;
    let mut config: Vec<u8> = described
        .chunks(8)
        .map(|bits| (0..8).fold(0_u8, |byte, n| byte << 1 | bits.get(n).copied().unwrap_or(0)))
        .collect();
    // No comment.
    config.push(0);
    let comment = at.div_ceil(8);
    let rest = block.get(comment + 1 + usize::from(*block.get(comment)?)..)?;
    Some((config, rest))
}

/// Returns the configuration of AAC-LC, for containers that state only the rate and the channels.
pub(super) fn plain_config(rate_hz: u32, channels: usize) -> Option<Box<[u8]>> {
    let rate = u8::try_from(RATES_HZ.iter().position(|&known| known == rate_hz)?).ok()?;
    let channels = u8::try_from(channels).ok().filter(|n| (1..=7).contains(n))?;
    Some(Box::new([2 << 3 | rate >> 1, rate << 7 | channels << 3]))
}

fn layout(labels: &[Channel], channels: usize) -> Channels {
    let front = Position::FRONT_LEFT | Position::FRONT_RIGHT;
    match (channels, labels) {
        (1, _) => return Channels::Positioned(Position::FRONT_LEFT),
        (2, _) => return Channels::Positioned(front),
        (_, labels) if labels.len() != channels => {
            return Channels::Discrete(u16::try_from(channels).unwrap_or(u16::MAX));
        }
        _ => {}
    }
    // Further elements are pairs behind the listener. If their number is odd, the first is a single one: ffmpeg writes the LFE of
    // some layouts so.
    let count = labels.iter().filter(|label| matches!(label, Channel::Other)).count();
    let mut has_single = count % 2 == 1;
    let mut is_left = false;
    in_order(labels.iter().map(|label| match label {
        Channel::FrontLeft => Position::FRONT_LEFT,
        Channel::FrontRight => Position::FRONT_RIGHT,
        Channel::FrontCenter => Position::FRONT_CENTER,
        Channel::Lfe => Position::LFE1,
        Channel::BackLeft => Position::REAR_LEFT,
        Channel::BackRight => Position::REAR_RIGHT,
        Channel::BackCenter => Position::REAR_CENTER,
        Channel::SideLeft => Position::SIDE_LEFT,
        Channel::SideRight => Position::SIDE_RIGHT,
        _ if std::mem::take(&mut has_single) => Position::REAR_CENTER,
        _ => {
            is_left = !is_left;
            if is_left { Position::REAR_LEFT } else { Position::REAR_RIGHT }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a block of ffmpeg's encoder: left, right and LFE, with a comment of four bytes.
    const BLOCK: [u8; 15] = [0xa0, 0x98, 0x80, 0x20, 0x04, 0x00, 0x04, b'L', b'a', b'v', b'c', 0x21, 0x2a, 0x08, 0x04];

    #[test]
    fn program_configuration_is_split_off() {
        let (config, rest) = program_config(&BLOCK).expect("a program configuration");
        assert_eq!(rest, &BLOCK[11..]);
        // The same bits, moved by three, and no comment.
        assert_eq!(config, [0x04, 0xc4, 0x01, 0x00, 0x20, 0x00, 0x00]);
        assert_eq!(program_config(&BLOCK[..9]), None, "the comment is incomplete");
        assert_eq!(program_config(&[0x21, 0x2a, 0x08, 0x04]), None, "a pair of channels");
    }
}
