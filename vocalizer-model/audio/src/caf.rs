//! CAF, the Core Audio Format: PCM, ALAC, AAC, Opus, ADPCM and MPEG audio.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as id;

use super::adpcm::adpcm_packets;
use super::chunks::{Chunk, Chunks, Samples, Style};
use super::error::DecodeError;
use super::input_file::InputFile;
use super::layout;
use super::limits::AudioLimits;
use super::raw::{PacketTable, Packets, RawTrack};
use super::refused;
use super::riff;

/// The fields of the `desc` chunk.
struct Description {
    rate_hz: u32,
    kind: [u8; 4],
    flags: u32,
    packet_bytes: u32,
    packet_frames: u32,
    channels: u16,
    bits: u32,
}

/// Reads the header of a CAF file. Returns `None` if it contains MPEG frames, which are then the whole view of the
/// file.
pub(super) fn read(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<Option<RawTrack>, DecodeError> {
    let mut chunks = Chunks::find(file, start, Style::Caf, [b"desc", b"data"], &[b"kuki", b"pakt", b"chan"], limits)?;
    let Some(described) = chunks.get(b"desc") else {
        return Err(DecodeError::Malformed("there is no desc chunk, which describes the samples".into()));
    };
    let desc = read_description(file, described)?;
    limits.check_channels(usize::from(desc.channels))?;
    limits.check_rate(desc.rate_hz)?;
    let Some(data) = chunks.get(b"data") else {
        return Err(DecodeError::Truncated("no samples after the header".into()));
    };
    // The size -1 means that the samples reach to the end of the file.
    let mut samples = Samples::locate(file, data.body, data.size, Style::Caf, None)?;
    samples.check_any()?;
    // The samples follow a count of edits.
    let edits = samples.stated_bytes.min(4);
    samples.start += edits;
    samples.stated_bytes -= edits;
    samples.check_any()?;
    // The packet table and the magic cookie may follow the samples.
    chunks.add_from(file, samples.end, Style::Caf, &[b"kuki", b"pakt", b"chan"], limits)?;
    let channels = stated_layout(file, chunks.get(b"chan"), desc.channels)?;
    let mut params = AudioCodecParameters::new();
    params.with_sample_rate(desc.rate_hz).with_channels(channels);
    let float = desc.flags & 1 != 0;
    let big = desc.flags & 2 == 0;
    let codec = match (&desc.kind, desc.bits) {
        (b"lpcm", 8) if !float => id::CODEC_ID_PCM_S8,
        (b"lpcm", 9..=32) if !float => riff::integer(sample_bytes(&desc), big),
        (b"lpcm", 32) if big => id::CODEC_ID_PCM_F32BE,
        (b"lpcm", 32) => id::CODEC_ID_PCM_F32LE,
        (b"lpcm", 64) if big && float => id::CODEC_ID_PCM_F64BE,
        (b"lpcm", 64) if float => id::CODEC_ID_PCM_F64LE,
        (b"lpcm", bits) => return Err(refused::codec(&format!("CAF with samples of {bits} bits"))),
        (b"ulaw", _) => id::CODEC_ID_PCM_MULAW,
        (b"alaw", _) => id::CODEC_ID_PCM_ALAW,
        (b"ima4", _) => id::CODEC_ID_ADPCM_IMA_QT,
        (b"alac", _) => id::CODEC_ID_ALAC,
        (b"aac ", _) => id::CODEC_ID_AAC,
        (b"opus", _) => id::CODEC_ID_OPUS,
        (b".mp1" | b".mp2" | b".mp3", _) => {
            file.narrow(samples.start, samples.end);
            return Ok(None);
        }
        (other, _) => return Err(refused::codec(&format!("CAF with the codec `{}`", other.escape_ascii()))),
    };
    params.for_codec(codec);
    let (packets, frames) = match codec {
        id::CODEC_ID_ALAC | id::CODEC_ID_AAC | id::CODEC_ID_OPUS => {
            return packed(file, &desc, &chunks, samples, params, limits).map(Some);
        }
        id::CODEC_ID_ADPCM_IMA_QT => adpcm_packets(desc.channels, samples),
        id::CODEC_ID_PCM_MULAW | id::CODEC_ID_PCM_ALAW => pcm_packets(&desc, 1, samples),
        _ => pcm_packets(&desc, sample_bytes(&desc), samples),
    };
    if frames == 0 {
        return Err(DecodeError::Empty("the audio has no samples"));
    }
    let (start, end) = (samples.start, samples.end);
    Ok(Some(RawTrack { name: Some("caf"), params, start, end, packets, skip: 0, frames, needed: frames }))
}

fn pcm_packets(desc: &Description, sample_bytes: u64, samples: Samples) -> (Packets, u64) {
    // At most 8 bytes, and as many channels as the limits allow.
    let frame_bytes = u16::try_from(sample_bytes * u64::from(desc.channels)).unwrap_or(u16::MAX).max(1);
    (Packets::Frames(frame_bytes), samples.stated_bytes / u64::from(frame_bytes))
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn read_description(file: &mut InputFile, chunk: Chunk) -> Result<Description, DecodeError> {
    let head = file.take::<32>(chunk.body)?;
    let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let rate = f64::from_bits((u64::from(number(0)) << 32) | u64::from(number(4)));
    Ok(Description {
        rate_hz: rate.round() as u32,
        kind: number(8).to_be_bytes(),
        flags: number(12),
        packet_bytes: number(16),
        packet_frames: number(20),
        channels: u16::try_from(number(24)).unwrap_or(u16::MAX),
        bits: number(28),
    })
}

/// The bytes of a sample in the file, which may be more than its bits need.
fn sample_bytes(desc: &Description) -> u64 {
    let needed = u64::from(desc.bits).div_ceil(8);
    let stored = u64::from(desc.packet_bytes) / u64::from(desc.channels.max(1));
    if (needed..=8).contains(&stored) { stored } else { needed }
}

/// Reads the packet table and the codec's own header.
fn packed(
    file: &mut InputFile,
    desc: &Description,
    chunks: &Chunks,
    samples: Samples,
    mut params: AudioCodecParameters,
    limits: &AudioLimits,
) -> Result<RawTrack, DecodeError> {
    let Some(table) = chunks.get(b"pakt").filter(|table| table.size >= 24) else {
        return Err(DecodeError::Truncated("the packet table is missing".into()));
    };
    let head = file.take::<24>(table.body)?;
    let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h, i, j, k, l, _, _, _, _] = head;
    let valid = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let frames = u64::try_from(valid).ok().filter(|&frames| frames > 0);
    let Some(frames) = frames else { return Err(DecodeError::Empty("the audio has no samples")) };
    let skip = u64::try_from(i32::from_be_bytes([i, j, k, l])).unwrap_or(0);
    // Opus is decoded at 48 kHz, whatever the header states.
    let scale = |frames: u64| match params.codec {
        id::CODEC_ID_OPUS => frames.saturating_mul(48_000) / u64::from(desc.rate_hz.max(1)),
        _ => frames,
    };
    let (frames, skip) = (scale(frames), scale(skip));
    limits.check_metadata(table.size)?;
    let encoded = file.bytes(table.body + 24, usize::try_from(table.size - 24).unwrap_or(0))?;
    let mut table = PacketTable { encoded, frames: desc.packet_frames, at: 0 };
    let packet_bytes = table.all_bytes();
    // Some programs count the last packet as a full one.
    let is_whole = samples.start.saturating_add(packet_bytes) <= samples.end;
    let needed = frames.saturating_sub(if is_whole { scale(u64::from(desc.packet_frames)) } else { 0 });
    table.at = 0;
    let packets = Packets::Table(table);
    let cookie = match chunks.get(b"kuki") {
        Some(chunk) => {
            limits.check_metadata(chunk.size)?;
            file.bytes(chunk.body, usize::try_from(chunk.size).unwrap_or(0))?
        }
        None => Vec::new(),
    };
    let extra = match params.codec {
        id::CODEC_ID_ALAC => alac_config(&cookie).to_vec(),
        id::CODEC_ID_AAC => aac_config(&cookie).to_vec(),
        _ => opus_header(&cookie, desc, skip)?,
    };
    params.with_extra_data(extra.into_boxed_slice());
    Ok(RawTrack { name: None, params, start: samples.start, end: samples.end, packets, skip, frames, needed })
}

/// Returns ALAC's configuration, which older files wrap into boxes as MP4 does.
fn alac_config(cookie: &[u8]) -> &[u8] {
    if cookie.get(4..8) == Some(b"frma") { cookie.get(24..).unwrap_or_default() } else { cookie }
}

/// Returns AAC's configuration from the descriptors of MPEG-4 around it.
fn aac_config(cookie: &[u8]) -> &[u8] {
    let mut rest = cookie;
    while let Some((&tag, after)) = rest.split_first() {
        let bytes = after.iter().take(4).take_while(|&b| b & 0x80 != 0).count();
        let size = after.iter().take(bytes + 1).fold(0_usize, |size, b| (size << 7) | usize::from(b & 0x7f));
        let body = after.get(bytes + 1..).unwrap_or_default();
        rest = match tag {
            // A stream: its number, and flags that add fields.
            3 => match body {
                [_, _, flags, more @ ..] => {
                    let url = more.first().map_or(0, |&n| usize::from(n) + 1);
                    let skip = usize::from(flags >> 7) * 2 + usize::from(flags >> 6 & 1) * url;
                    more.get(skip + usize::from(flags >> 5 & 1) * 2..).unwrap_or_default()
                }
                _ => break,
            },
            4 => body.get(13..).unwrap_or_default(),
            5 => return body.get(..size).unwrap_or(body),
            _ => break,
        };
    }
    cookie
}

/// Returns the Opus header of RFC 7845, or makes one: Apple stores a header of its own.
fn opus_header(cookie: &[u8], desc: &Description, skip: u64) -> Result<Vec<u8>, DecodeError> {
    if cookie.starts_with(b"OpusHead") {
        return Ok(cookie.to_vec());
    }
    let (Ok(channels @ 1..=2), Ok(skip)) = (u8::try_from(desc.channels), u16::try_from(skip)) else {
        return Err(refused::codec("CAF with Opus of more than two channels"));
    };
    let mut header = b"OpusHead\x01".to_vec();
    header.push(channels);
    header.extend(skip.to_le_bytes());
    header.extend(desc.rate_hz.to_le_bytes());
    header.extend([0; 3]);
    Ok(header)
}

/// Returns the positions of the channels from a `chan` or `CHAN` chunk.
pub(super) fn stated_layout(
    file: &mut InputFile,
    chunk: Option<Chunk>,
    channels: u16,
) -> Result<Channels, DecodeError> {
    let Some(chunk) = chunk else { return Ok(layout::of_mask(channels, None)) };
    // A tag, a mask and a count, and 20 bytes for each channel.
    let most = chunk.size.min(12 + 20 * u64::from(channels));
    let bytes = file.bytes(chunk.body, usize::try_from(most).unwrap_or(0))?;
    Ok(layout::of_apple(&bytes, channels))
}
