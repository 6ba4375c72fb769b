//! AIFF and AIFF-C.

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::adpcm::adpcm_packets;
use super::caf;
use super::chunks::{Chunks, Samples, Style};
use super::error::DecodeError;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::raw::{Packets, RawTrack};
use super::refused;
use super::riff::integer;

/// Reads the header of an AIFF or AIFF-C file.
pub(super) fn read(
    file: &mut InputFile,
    start: u64,
    compressed: bool,
    limits: &AudioLimits,
) -> Result<RawTrack, DecodeError> {
    let chunks = Chunks::find(file, start, Style::Big, [b"COMM", b"SSND"], &[b"CHAN"], limits)?;
    let Some(described) = chunks.get(b"COMM") else {
        return Err(DecodeError::Malformed("there is no COMM chunk, which describes the samples".into()));
    };
    let head = file.take::<18>(described.body)?;
    let channels = u16::from_be_bytes([head[0], head[1]]);
    let bits = u16::from_be_bytes([head[6], head[7]]);
    let rate_hz = extended_hz(&head);
    limits.check_channels(usize::from(channels))?;
    limits.check_rate(rate_hz)?;
    let kind = if compressed && described.size >= 22 { file.take::<4>(described.body + 18)? } else { *b"NONE" };
    let Some(data) = chunks.get(b"SSND") else {
        return Err(DecodeError::Truncated("no samples after the header".into()));
    };
    let outer = u32::from_be_bytes(file.take::<4>(start + 4)?);
    let outer_end = Some(start + 8 + u64::from(outer)).filter(|_| outer > 0);
    let mut samples = Samples::locate(file, data.body, data.size, Style::Big, outer_end)?;
    // The samples follow an offset and a block size.
    let offset = 8 + u64::from(u32::from_be_bytes(file.peek::<4>(data.body)?.0));
    let offset = offset.min(samples.stated_bytes);
    samples.start += offset;
    samples.stated_bytes -= offset;
    samples.check_any()?;

    let (codec, bytes) = codec(kind, bits)?;
    let (packets, frames) = if codec == id::CODEC_ID_ADPCM_IMA_QT {
        adpcm_packets(channels, samples)
    } else {
        let frame_bytes = bytes * channels;
        (Packets::Frames(frame_bytes), samples.stated_bytes / u64::from(frame_bytes))
    };
    if frames == 0 {
        return Err(DecodeError::Empty("the audio has no samples"));
    }
    let layout = caf::stated_layout(file, chunks.get(b"CHAN"), channels)?;
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec).with_sample_rate(rate_hz).with_channels(layout);
    Ok(RawTrack {
        name: Some("aiff"),
        params,
        start: samples.start,
        end: samples.end,
        packets,
        skip: 0,
        frames,
        needed: frames,
    })
}

/// Returns the codec of a compression type, and the bytes of a sample.
fn codec(kind: [u8; 4], bits: u16) -> Result<(AudioCodecId, u16), DecodeError> {
    let bytes = bits.div_ceil(8);
    let whole = |big| match bytes {
        1 => Ok((id::CODEC_ID_PCM_S8, 1)),
        2..=4 => Ok((integer(u64::from(bytes), big), bytes)),
        _ => Err(refused::codec(&format!("AIFF with samples of {bits} bits"))),
    };
    match &kind {
        b"NONE" | b"twos" => whole(true),
        b"sowt" => whole(false),
        b"raw " => Ok((id::CODEC_ID_PCM_U8, 1)),
        b"in24" => Ok((id::CODEC_ID_PCM_S24BE, 3)),
        b"42ni" => Ok((id::CODEC_ID_PCM_S24LE, 3)),
        b"in32" => Ok((id::CODEC_ID_PCM_S32BE, 4)),
        b"23ni" => Ok((id::CODEC_ID_PCM_S32LE, 4)),
        b"fl32" | b"FL32" => Ok((id::CODEC_ID_PCM_F32BE, 4)),
        b"23lf" => Ok((id::CODEC_ID_PCM_F32LE, 4)),
        b"fl64" | b"FL64" => Ok((id::CODEC_ID_PCM_F64BE, 8)),
        b"alaw" | b"ALAW" => Ok((id::CODEC_ID_PCM_ALAW, 1)),
        b"ulaw" | b"ULAW" => Ok((id::CODEC_ID_PCM_MULAW, 1)),
        b"ima4" => Ok((id::CODEC_ID_ADPCM_IMA_QT, 0)),
        other => Err(refused::codec(&format!("AIFF-C with the codec `{}`", other.escape_ascii()))),
    }
}

/// Returns the 80-bit float at byte 8 of a COMM chunk in whole Hz, or 0 if it is not positive.
fn extended_hz(head: &[u8; 18]) -> u32 {
    let exponent = u16::from_be_bytes([head[8], head[9]]);
    let mantissa = u64::from_be_bytes([head[10], head[11], head[12], head[13], head[14], head[15], head[16], head[17]]);
    if exponent & 0x8000 != 0 || mantissa == 0 {
        return 0;
    }
    let shift = 16_383 + 63 - i32::from(exponent);
    match u32::try_from(shift) {
        Ok(shift) if shift < 64 => u32::try_from(mantissa >> shift).unwrap_or(u32::MAX),
        Ok(_) => 0,
        Err(_) => u32::MAX,
    }
}
