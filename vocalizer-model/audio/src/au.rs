//! AU, the format of Sun and NeXT, and its little-endian variant from DEC.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as id;

use super::chunks::is_placeholder;
use super::error::DecodeError;
use super::input_file::InputFile;
use super::layout;
use super::limits::AudioLimits;
use super::raw::{Packets, RawTrack};
use super::refused;
use super::riff::integer;
use super::tail;

/// Reads the header of an AU file.
pub(super) fn read(file: &mut InputFile, start: u64, big: bool, limits: &AudioLimits) -> Result<RawTrack, DecodeError> {
    let head = file.take::<24>(start)?;
    let number = |n: usize| {
        let bytes = [head[4 * n], head[4 * n + 1], head[4 * n + 2], head[4 * n + 3]];
        if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    let (offset, size, encoding, rate_hz) = (number(1), number(2), number(3), number(4));
    let channels = u16::try_from(number(5)).unwrap_or(u16::MAX);
    limits.check_channels(usize::from(channels))?;
    limits.check_rate(rate_hz)?;
    limits.check_metadata(u64::from(offset))?;
    if offset < 24 {
        return Err(DecodeError::Malformed(format!("the header states that it has {offset} bytes; it needs 24")));
    }
    let (codec, bytes) = match encoding {
        1 => (id::CODEC_ID_PCM_MULAW, 1),
        2 => (id::CODEC_ID_PCM_S8, 1),
        3..=5 => (integer(u64::from(encoding) - 1, big), encoding as u16 - 1),
        6 => (if big { id::CODEC_ID_PCM_F32BE } else { id::CODEC_ID_PCM_F32LE }, 4),
        7 => (if big { id::CODEC_ID_PCM_F64BE } else { id::CODEC_ID_PCM_F64LE }, 8),
        27 => (id::CODEC_ID_PCM_ALAW, 1),
        23..=26 => return Err(refused::codec("AU with G.721, G.722 or G.723 ADPCM")),
        other => return Err(refused::codec(&format!("AU with the encoding {other}"))),
    };
    let first = start + u64::from(offset);
    let there = file.len_bytes().saturating_sub(first);
    let size = u64::from(size);
    let (end, stated_bytes) = if size == 0 || (size > there && is_placeholder(size)) {
        let end = tail::start(file)?.max(first);
        (end, end - first)
    } else {
        (first + size.min(there), size)
    };
    let block_bytes = bytes * channels;
    let frames = stated_bytes / u64::from(block_bytes);
    if there == 0 && size > 0 {
        return Err(DecodeError::Truncated("no samples after the header".into()));
    }
    if frames == 0 {
        return Err(DecodeError::Empty("the audio has no samples"));
    }
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec).with_sample_rate(rate_hz).with_channels(layout::of_mask(channels, None));
    let packets = Packets::Frames(block_bytes);
    Ok(RawTrack { name: Some("au"), params, start: first, end, packets, skip: 0, frames, needed: frames })
}
