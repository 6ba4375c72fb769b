//! The headers of the audio streams in Ogg: Vorbis, Opus and FLAC.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as id;

use super::error::DecodeError;
use super::flac;
use super::layout;
use super::options::TrackInfo;

/// The longest header; pictures in comments are long.
const MAX_HEADER_BYTES: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Vorbis,
    Opus,
    Flac,
    Other(&'static str),
}

/// The headers of one stream, as far as they have been read.
pub(super) struct Headers {
    pub(super) serial: u32,
    codec: Codec,
    packets: Vec<Vec<u8>>,
    partial: Vec<u8>,
    wanted: usize,
}

impl Headers {
    /// Recognises a stream by its first packet. Returns `None` for streams that are not audio.
    pub(super) fn new(serial: u32, first: &[u8]) -> Option<Self> {
        let (codec, wanted) = match first {
            [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => (Codec::Vorbis, 3),
            [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => (Codec::Opus, 2),
            // The number of further headers, at byte 7, may be unknown; they are told apart from audio anyway.
            [0x7f, b'F', b'L', b'A', b'C', ..] => (Codec::Flac, 2),
            [b'S', b'p', b'e', b'e', b'x', b' ', ..] => (Codec::Other("speex"), 1),
            [b'f', b'L', b'a', b'C', ..] => (Codec::Other("flac in an early form of Ogg"), 1),
            [b'P', b'C', b'M', b' ', ..] => (Codec::Other("pcm in Ogg"), 1),
            [b'C', b'E', b'L', b'T', ..] => (Codec::Other("celt"), 1),
            _ => return None,
        };
        Some(Self { serial, codec, packets: vec![first.to_vec()], partial: Vec::new(), wanted })
    }

    pub(super) fn is_complete(&self) -> bool {
        self.packets.len() >= self.wanted
    }

    /// Adds a part of a header, which may continue in the next packet.
    pub(super) fn push(&mut self, bytes: &[u8], is_open: bool) -> Result<(), DecodeError> {
        if self.partial.len() + bytes.len() > MAX_HEADER_BYTES {
            return Err(DecodeError::Limit(format!("an Ogg header of more than {MAX_HEADER_BYTES} bytes")));
        }
        self.partial.extend_from_slice(bytes);
        if !is_open {
            self.packets.push(std::mem::take(&mut self.partial));
        }
        Ok(())
    }

    /// Returns the stream if its headers make sense.
    pub(super) fn finish(self) -> Option<OggStream> {
        let head = self.packets.first()?;
        let mut params = AudioCodecParameters::new();
        let mut pre_skip = 0;
        let mut channels = None;
        match self.codec {
            Codec::Vorbis => {
                let (_, setup) = (self.packets.get(1)?, self.packets.get(2)?);
                params.for_codec(id::CODEC_ID_VORBIS);
                params.with_sample_rate(u32::from_le_bytes(head.get(12..16)?.try_into().ok()?));
                params.with_extra_data([head.get(..30)?, setup].concat().into_boxed_slice());
                let count = *head.get(11)?;
                params.with_channels(layout::of_vorbis(count));
                channels = Some(count);
            }
            Codec::Opus => {
                params.for_codec(id::CODEC_ID_OPUS).with_sample_rate(48_000);
                params.with_extra_data(head.clone().into_boxed_slice());
                pre_skip = opus_pre_skip(head);
                channels = head.get(9).copied();
            }
            Codec::Flac => {
                let info = head.get(17..51)?;
                params.for_codec(id::CODEC_ID_FLAC).with_extra_data(info.into());
                params.with_sample_rate(u32::from_be_bytes([0, info[10], info[11], info[12]]) >> 4);
                params.with_bits_per_sample(u32::from((info[12] & 1) << 4 | info[13] >> 4) + 1);
                let count = ((info[12] >> 1) & 7) + 1;
                // The second header is the block of the comments.
                let mask = self.packets.get(1).and_then(|block| flac::mask_in(block.get(4..)?));
                params.with_channels(layout::of_mask(count.into(), mask));
                channels = Some(count);
            }
            Codec::Other(_) => {}
        }
        Some(OggStream { serial: Some(self.serial), codec: self.codec, params, pre_skip, channels })
    }
}

/// An audio stream.
#[derive(Debug, Clone)]
pub(super) struct OggStream {
    /// `None` if no stream of the current link can be decoded.
    pub(super) serial: Option<u32>,
    codec: Codec,
    pub(super) params: AudioCodecParameters,
    /// Frames to drop at the start.
    pub(super) pre_skip: u64,
    channels: Option<u8>,
}

impl OggStream {
    pub(super) fn info(&self, number: u32) -> TrackInfo {
        let (codec, is_supported) = match self.codec {
            Codec::Vorbis => ("ogg vorbis", true),
            Codec::Opus => ("opus", cfg!(feature = "opus")),
            Codec::Flac => ("flac", true),
            Codec::Other(name) => (name, false),
        };
        TrackInfo {
            number,
            codec,
            rate_hz: self.params.sample_rate,
            channels: self.channels.map(u16::from),
            bits: self.params.bits_per_sample,
            language: None,
            is_default: false,
            is_supported,
        }
    }

    /// Returns whether a packet is audio instead of a further header.
    pub(super) fn is_audio(&self, packet: &[u8]) -> bool {
        match self.codec {
            Codec::Vorbis => packet.first().is_some_and(|b| b & 1 == 0),
            Codec::Opus => !packet.starts_with(b"OpusTags"),
            Codec::Flac => packet.first() == Some(&0xff),
            Codec::Other(_) => false,
        }
    }

    /// Returns how many frames a packet has, if its first bytes tell.
    pub(super) fn packet_frames(&self, packet: &[u8]) -> u64 {
        match self.codec {
            Codec::Opus => opus_frames(packet),
            _ => 0,
        }
    }
}

/// Returns the number of frames to drop at the start of an Opus stream, which its identification header states.
pub(super) fn opus_pre_skip(header: &[u8]) -> u64 {
    header.get(10..12).map_or(0, |bytes| bytes.iter().rev().fold(0, |skip, &b| skip << 8 | u64::from(b)))
}

/// Returns the length of an Opus packet in frames of 48 kHz (RFC 6716, 3.1).
pub(super) fn opus_frames(packet: &[u8]) -> u64 {
    let Some(&toc) = packet.first() else { return 0 };
    let frame = match toc >> 3 {
        mode @ 0..12 => [480, 960, 1_920, 2_880][usize::from(mode & 3)],
        mode @ 12..16 => [480, 960][usize::from(mode & 1)],
        mode => [120, 240, 480, 960][usize::from(mode & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1).copied().unwrap_or(0) & 63),
    };
    (frame * count).min(5_760)
}
