//! AAC: LC, HE-AAC with SBR and PS however it is signalled, and more than two channels.

use symphonia::core::audio::{ChannelLabel, Channels, Position};
use symphonia::core::codecs::audio::AudioCodecParameters;
use syom::{AacError, Channel, DecodeOptions, Decoder};

use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;

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
        let config = vec![object << 3 | rate >> 1, rate << 7 | channels << 3];
        if self.config != config {
            self.configure(config).map_err(|error| match error {
                AacError::Unsupported(_) if self.config.is_empty() => Failure::Stream(refuse(&error)),
                error => Failure::Packet(format!("aac: {error}")),
            })?;
        }
        let checked = flags & 1 == 0;
        if b6 & 3 != 0 {
            return Err(Failure::Stream(DecodeError::Unsupported(
                "ADTS with several blocks per frame; convert the file with `ffmpeg -i IN OUT.flac`".into(),
            )));
        }
        let body = packet.get(if checked { 9 } else { 7 }..).filter(|body| !body.is_empty()).ok_or_else(wrong)?;
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
        AacError::Unsupported(_) => DecodeError::Unsupported(format!(
            "AAC of a rare kind ({error}); convert the file with `ffmpeg -i IN OUT.flac`"
        )),
        error => DecodeError::Malformed(format!("the AAC configuration is invalid: {error}")),
    }
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
    let label = |label: &Channel| {
        ChannelLabel::Positioned(match label {
            Channel::FrontLeft => Position::FRONT_LEFT,
            Channel::FrontRight => Position::FRONT_RIGHT,
            Channel::FrontCenter => Position::FRONT_CENTER,
            Channel::Lfe => Position::LFE1,
            Channel::BackLeft => Position::REAR_LEFT,
            Channel::BackRight => Position::REAR_RIGHT,
            Channel::BackCenter => Position::REAR_CENTER,
            Channel::SideLeft => Position::SIDE_LEFT,
            Channel::SideRight => Position::SIDE_RIGHT,
            _ => Position::empty(),
        })
    };
    Channels::Custom(labels.iter().map(label).collect())
}
