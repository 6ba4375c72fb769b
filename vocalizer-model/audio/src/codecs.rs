//! The decoders by codec, and the names of codecs.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::aac::AacCodec;
use super::adpcm::AdpcmCodec;
use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;
use super::flac32::Flac32;
use super::guard::{guard, translate};
use super::layout;
use super::mpeg::{self, Header};
use super::refused;
use super::vorbis::VorbisCodec;

/// Returns the decoder for a stream.
#[cfg_attr(not(feature = "opus"), expect(unused_variables, reason = "only Opus needs the container"))]
pub(super) fn make(params: &AudioCodecParameters, in_mp4: bool, verify: bool) -> Result<Box<dyn Codec>, DecodeError> {
    guard(|| match params.codec {
        #[cfg(feature = "opus")]
        id::CODEC_ID_OPUS => Ok(Box::new(super::opus::OpusCodec::new(params, in_mp4)?) as Box<dyn Codec>),
        id::CODEC_ID_AAC => Ok(Box::new(AacCodec::new(params)?) as Box<dyn Codec>),
        id::CODEC_ID_MP1 | id::CODEC_ID_MP2 | id::CODEC_ID_MP3 => Ok(Box::new(MpegCodec::default())),
        id::CODEC_ID_ADPCM_MS | id::CODEC_ID_ADPCM_IMA_WAV | id::CODEC_ID_ADPCM_IMA_QT => {
            Ok(Box::new(AdpcmCodec::new(params)?))
        }
        id::CODEC_ID_FLAC if flac_bits(params) == Some(32) => Ok(Box::new(Flac32::new(params)?)),
        id::CODEC_ID_VORBIS => Ok(Box::new(VorbisCodec::new(params)?)),
        _ => {
            let options = AudioDecoderOptions::default().gapless(false).verify(verify);
            let decoder = symphonia::default::get_codecs().make_audio_decoder(params, &options);
            let decoder = decoder.map_err(|error| match error {
                Error::Unsupported(_) => refused::codec(name(params.codec).unwrap_or("an unknown codec")),
                error => translate(error),
            })?;
            let layout = match params.codec {
                id::CODEC_ID_ALAC => {
                    layout::of_alac(decoder.codec_params().channels.as_ref().map_or(0, Channels::count))
                }
                // The mask in the comments, which the decoder does not know.
                id::CODEC_ID_FLAC => params.channels.clone(),
                _ => None,
            };
            Ok(Box::new(Standard { decoder, layout }))
        }
    })
}

/// Returns the bits per sample that STREAMINFO states.
fn flac_bits(params: &AudioCodecParameters) -> Option<u32> {
    let info = params.extra_data.as_deref()?;
    Some(u32::from((info.get(12)? & 1) << 4 | info.get(13)? >> 4) + 1)
}

/// Returns the bits per sample of a lossless codec, as far as they are known.
pub(super) fn bits(params: &AudioCodecParameters) -> Option<u32> {
    match params.codec {
        id::CODEC_ID_FLAC => flac_bits(params),
        id::CODEC_ID_ALAC => params.bits_per_sample,
        id::CODEC_ID_PCM_S16LE | id::CODEC_ID_PCM_S16BE | id::CODEC_ID_PCM_U16LE | id::CODEC_ID_PCM_U16BE => Some(16),
        id::CODEC_ID_PCM_S24LE | id::CODEC_ID_PCM_S24BE | id::CODEC_ID_PCM_U24LE | id::CODEC_ID_PCM_U24BE => Some(24),
        id::CODEC_ID_PCM_S32LE | id::CODEC_ID_PCM_S32BE | id::CODEC_ID_PCM_U32LE | id::CODEC_ID_PCM_U32BE => Some(32),
        id::CODEC_ID_PCM_F32LE | id::CODEC_ID_PCM_F32BE => Some(32),
        id::CODEC_ID_PCM_F64LE | id::CODEC_ID_PCM_F64BE => Some(64),
        _ => None,
    }
}

/// Returns the name of a codec.
pub(super) fn name(codec: AudioCodecId) -> Option<&'static str> {
    Some(match codec {
        id::CODEC_ID_VORBIS => "vorbis",
        id::CODEC_ID_OPUS => "opus",
        id::CODEC_ID_SPEEX => "speex",
        id::CODEC_ID_MUSEPACK => "musepack",
        id::CODEC_ID_MP1 => "mp1",
        id::CODEC_ID_MP2 => "mp2",
        id::CODEC_ID_MP3 => "mp3",
        id::CODEC_ID_AAC => "aac",
        id::CODEC_ID_AC3 => "ac-3",
        id::CODEC_ID_EAC3 => "e-ac-3",
        id::CODEC_ID_AC4 => "ac-4",
        id::CODEC_ID_DCA => "dts",
        id::CODEC_ID_ATRAC1 | id::CODEC_ID_ATRAC3 | id::CODEC_ID_ATRAC3PLUS | id::CODEC_ID_ATRAC9 => "atrac",
        id::CODEC_ID_WMA => "wma",
        id::CODEC_ID_RA10 | id::CODEC_ID_RA20 | id::CODEC_ID_SIPR | id::CODEC_ID_COOK | id::CODEC_ID_RALF => {
            "realaudio"
        }
        id::CODEC_ID_ADPCM_MS | id::CODEC_ID_ADPCM_IMA_WAV | id::CODEC_ID_ADPCM_IMA_QT => "adpcm",
        id::CODEC_ID_FLAC => "flac",
        id::CODEC_ID_WAVPACK => "wavpack",
        id::CODEC_ID_ALAC => "alac",
        id::CODEC_ID_TTA => "tta",
        id::CODEC_ID_TRUEHD => "truehd",
        _ => return None,
    })
}

/// One of symphonia's decoders.
struct Standard {
    decoder: Box<dyn AudioDecoder>,
    /// The positions of the channels if the decoder does not know them.
    layout: Option<Channels>,
}

impl Codec for Standard {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let mut shape = decode_with(&mut *self.decoder, packet, out)?;
        if let Some(layout) = self.layout.as_ref().filter(|layout| layout.count() == shape.channels.count()) {
            shape.channels = layout.clone();
        }
        Ok(shape)
    }

    fn reset(&mut self) {
        self.decoder.reset();
    }

    fn is_checksum_wrong(&mut self) -> bool {
        self.decoder.finalize().verify_ok == Some(false)
    }
}

fn decode_with(decoder: &mut dyn AudioDecoder, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
    let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, packet);
    let block = decoder.decode_ref(&packet)?;
    block.copy_to_vec_interleaved(out);
    Ok(Shape { rate_hz: block.spec().rate(), channels: block.spec().channels().clone(), frames: block.frames() })
}

/// MP1, MP2 and MP3: a new decoder wherever the layer, the sample rate or the number of channels changes.
#[derive(Default)]
struct MpegCodec {
    decoder: Option<(Box<dyn AudioDecoder>, (u32, bool))>,
}

impl Codec for MpegCodec {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let wrong = || Failure::Packet("a frame without a valid header".into());
        let head = packet.first_chunk::<4>().copied().ok_or_else(wrong)?;
        let header: Header = mpeg::mpeg_header(head).ok_or_else(wrong)?;
        let is_mono = head[3] >> 6 == 3;
        let key = (header.identity, is_mono);
        if self.decoder.as_ref().is_none_or(|(_, current)| *current != key) {
            let mut params = AudioCodecParameters::new();
            params.for_codec(codec_of_layer(header.layer)).with_sample_rate(header.rate_hz);
            let options = AudioDecoderOptions::default().gapless(false);
            self.decoder = Some((symphonia::default::get_codecs().make_audio_decoder(&params, &options)?, key));
        }
        match &mut self.decoder {
            Some((decoder, _)) => decode_with(&mut **decoder, packet, out),
            None => Err(wrong()),
        }
    }

    fn reset(&mut self) {
        self.decoder = None;
    }
}

/// Returns the codec of a layer from 1 to 3.
pub(super) fn codec_of_layer(layer: u32) -> AudioCodecId {
    match layer {
        1 => id::CODEC_ID_MP1,
        2 => id::CODEC_ID_MP2,
        _ => id::CODEC_ID_MP3,
    }
}
