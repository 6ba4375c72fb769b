//! WAV and its relatives for more than 4 GiB (RF64, BW64, Wave64) or with the other byte order (RIFX).

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::adpcm;
use super::chunks::{Chunks, Samples, Style};
use super::error::DecodeError;
use super::input_file::InputFile;
use super::layout;
use super::limits::AudioLimits;
use super::raw::{Packets, RawTrack};
use super::refused;

/// The second half of the GUIDs that stand for a format tag.
const TAG_GUID: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// What a WAV file contains.
#[derive(Debug)]
pub(super) enum Content {
    Raw(Box<RawTrack>),
    /// MP1, MP2, MP3 or ADTS frames, which are now the whole view of the file.
    Frames,
    /// A FLAC stream, likewise.
    Flac,
}

/// The description of the samples in a `fmt ` chunk: a `WAVEFORMATEX`, which other containers have, too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) tag: u16,
    pub(super) channels: u16,
    rate_hz: u32,
    pub(super) block_bytes: u16,
    bits: u16,
    pub(super) mask: Option<u32>,
}

impl Format {
    /// Reads a description, whose numbers may be big-endian.
    pub(super) fn parse(bytes: &[u8], big: bool) -> Result<Self, DecodeError> {
        let number16 = |bytes| if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        let number32 = |bytes| if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let Some((&[a, b, c, d, e, f, g, h, _, _, _, _, i, j, k, l], more)) = bytes.split_first_chunk::<16>() else {
            return Err(DecodeError::Truncated("the file ends inside its header".into()));
        };
        let mut format = Self {
            tag: number16([a, b]),
            channels: number16([c, d]),
            rate_hz: number32([e, f, g, h]),
            block_bytes: number16([i, j]),
            bits: number16([k, l]),
            mask: None,
        };
        if format.tag == 0xfffe
            && let Some(&[_, _, _, _, m, n, o, p, guid @ ..]) = more.first_chunk::<24>()
        {
            format.mask = Some(number32([m, n, o, p]));
            let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _] = guid;
            if guid.get(2..) != Some(TAG_GUID.as_slice()) {
                let what =
                    if guid.get(4..8) == Some(&[0x21, 7, 0xd3, 0x11]) { "ambisonic WAV" } else { "WAV extension" };
                return Err(refused::codec(what));
            }
            // The bytes of a GUID's first numbers are little-endian in every file.
            format.tag = u16::from_le_bytes(tag);
        }
        Ok(format)
    }

    /// Returns whether the samples come in blocks of several frames.
    pub(super) fn has_blocks(&self) -> bool {
        matches!(self.tag, 2 | 0x11)
    }

    /// Returns the codec and the bytes of a sample, or 0 if they come in blocks.
    pub(super) fn codec(&self, container: &str, big: bool) -> Result<(AudioCodecId, u64), DecodeError> {
        let channels = u64::from(self.channels);
        let stored = match u64::from(self.block_bytes) / channels.max(1) {
            // The sample's size in the file counts; its bits may be fewer.
            bytes if bytes * 8 >= u64::from(self.bits) && bytes <= 4 && bytes > 0 => bytes,
            _ => u64::from(self.bits).div_ceil(8),
        };
        Ok(match (self.tag, stored) {
            (1, 1) => (id::CODEC_ID_PCM_U8, 1),
            (1, 2..=4) => (integer(stored, big), stored),
            (3, _) if self.bits == 32 => (if big { id::CODEC_ID_PCM_F32BE } else { id::CODEC_ID_PCM_F32LE }, 4),
            (3, _) if self.bits == 64 => (if big { id::CODEC_ID_PCM_F64BE } else { id::CODEC_ID_PCM_F64LE }, 8),
            (6, _) => (id::CODEC_ID_PCM_ALAW, 1),
            (7, _) => (id::CODEC_ID_PCM_MULAW, 1),
            (2, _) if channels <= 2 && self.bits == 4 => (id::CODEC_ID_ADPCM_MS, 0),
            (0x11, _) if self.bits == 4 => (id::CODEC_ID_ADPCM_IMA_WAV, 0),
            (1 | 3, _) => return Err(refused::codec(&format!("{container} with samples of {} bits", self.bits))),
            (tag, _) => return Err(refused::wav_codec(container, tag)),
        })
    }
}

/// Reads the header of a WAV file.
pub(super) fn read(
    file: &mut InputFile,
    start: u64,
    style: Style,
    name: &'static str,
    limits: &AudioLimits,
) -> Result<Content, DecodeError> {
    let chunks = Chunks::find(file, start, style, [b"fmt ", b"data"], &[b"fact", b"ds64"], limits)?;
    let Some(described) = chunks.get(b"fmt ") else {
        return Err(DecodeError::Malformed("there is no fmt chunk, which describes the samples".into()));
    };
    let format = read_format(file, described.body, described.size, style)?;
    limits.check_channels(usize::from(format.channels))?;
    limits.check_rate(format.rate_hz)?;
    let Some(data) = chunks.get(b"data") else {
        return Err(DecodeError::Truncated("no samples after the header".into()));
    };
    let mut size = data.size;
    if size == u64::from(u32::MAX)
        && let Some(large) = chunks.get(b"ds64")
    {
        let [.., a, b, c, d, e, f, g, h] = file.take::<16>(large.body)?;
        size = Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])).filter(|&stated| stated > 0).unwrap_or(size);
    }
    let outer_end = outer_end(file, start, style)?;
    let samples = Samples::locate(file, data.body, size, style, outer_end)?;
    samples.check_any()?;
    let stated_frames = match chunks.get(b"fact") {
        Some(fact) if fact.size >= 4 => Some(u64::from(number32(style, file.take::<4>(fact.body)?))),
        _ => None,
    };
    match format.tag {
        0x50 | 0x55 | 0xff | 0x1600 | 0x1601 | 0x1610 => {
            file.narrow(samples.start, samples.end);
            Ok(Content::Frames)
        }
        0xf1ac => flac(file, described.body, described.size, samples),
        _ => raw(file, &format, samples, stated_frames, style, name).map(|raw| Content::Raw(Box::new(raw))),
    }
}

fn read_format(file: &mut InputFile, body: u64, size: u64, style: Style) -> Result<Format, DecodeError> {
    if size < 14 {
        return Err(DecodeError::Malformed(format!("the fmt chunk has {size} bytes; it needs 16")));
    }
    let bytes = file.bytes(body, usize::try_from(size.clamp(16, 40)).unwrap_or(16))?;
    Format::parse(&bytes, style == Style::Big)
}

/// Returns where the outer chunk ends.
fn outer_end(file: &mut InputFile, start: u64, style: Style) -> Result<Option<u64>, DecodeError> {
    Ok(match style {
        Style::Little | Style::Big => {
            Some(start + 8 + u64::from(number32(style, file.take::<4>(start + 4)?))).filter(|&end| end > start + 8)
        }
        Style::Wave64 | Style::Caf => None,
    })
}

/// A view of FLAC in WAV as the FLAC file that it would be: the header's extension is its STREAMINFO.
fn flac(file: &mut InputFile, body: u64, size: u64, samples: Samples) -> Result<Content, DecodeError> {
    if size < 18 + 34 {
        return Err(DecodeError::Malformed("the FLAC in the WAV has no STREAMINFO".into()));
    }
    let info = file.take::<34>(body + 18)?;
    file.narrow(samples.start, samples.end);
    file.prepend([b"fLaC\x80\0\0\x22".as_slice(), &info].concat());
    Ok(Content::Flac)
}

fn raw(
    file: &mut InputFile,
    format: &Format,
    samples: Samples,
    stated_frames: Option<u64>,
    style: Style,
    name: &'static str,
) -> Result<RawTrack, DecodeError> {
    let channels = u64::from(format.channels);
    let (codec, bytes) = format.codec("WAV", style == Style::Big)?;
    if format.tag == 1 && bytes == 2 {
        check_no_bitstream(file, samples)?;
    }
    let there = samples.end - samples.start;
    let mut end = samples.end;
    let (packets, frames) = if bytes > 0 {
        let frame_bytes = u16::try_from(bytes * channels).unwrap_or(u16::MAX);
        (Packets::Frames(frame_bytes), samples.stated_bytes / u64::from(frame_bytes))
    } else {
        let block = u64::from(format.block_bytes);
        let in_block = adpcm::frames_in(codec, block, channels);
        let Some(block_frames) = u32::try_from(in_block).ok().filter(|&frames| frames > 1) else {
            return Err(DecodeError::Malformed(format!("the header states ADPCM blocks of {block} bytes")));
        };
        if there < samples.stated_bytes {
            // Of a block that the end of the file cuts, nothing is decoded.
            end -= there % block;
        }
        let (whole, rest) = (samples.stated_bytes / block, samples.stated_bytes % block);
        let frames = whole * in_block + adpcm::frames_in(codec, rest, channels);
        // The last block is padded.
        let frames = stated_frames.filter(|&stated| stated > 0).map_or(frames, |stated| frames.min(stated));
        (Packets::Blocks { bytes: format.block_bytes, frames: block_frames }, frames)
    };
    if frames == 0 {
        return Err(DecodeError::Empty("the audio has no samples"));
    }
    let mut params = AudioCodecParameters::new();
    params
        .for_codec(codec)
        .with_sample_rate(format.rate_hz)
        .with_channels(layout::of_mask(format.channels, format.mask));
    Ok(RawTrack { name: Some(name), params, start: samples.start, end, packets, skip: 0, frames, needed: frames })
}

/// Returns the codec of signed integers of 2 to 4 bytes.
pub(super) fn integer(bytes: u64, big: bool) -> AudioCodecId {
    match (bytes, big) {
        (2, false) => id::CODEC_ID_PCM_S16LE,
        (2, true) => id::CODEC_ID_PCM_S16BE,
        (3, false) => id::CODEC_ID_PCM_S24LE,
        (3, true) => id::CODEC_ID_PCM_S24BE,
        (_, false) => id::CODEC_ID_PCM_S32LE,
        (_, true) => id::CODEC_ID_PCM_S32BE,
    }
}

/// Refuses DTS and Dolby Digital that pose as PCM, as on DTS CDs: they would be heard as noise.
fn check_no_bitstream(file: &mut InputFile, samples: Samples) -> Result<(), DecodeError> {
    const MARKS: [(&[u8], &str); 4] = [
        (&[0xfe, 0x7f, 0x01, 0x80], "DTS"),
        (&[0xff, 0x1f, 0x00, 0xe8, 0xf1, 0x07], "DTS"),
        (&[0x1f, 0xff, 0xe8, 0x00, 0x07, 0xf1], "DTS"),
        (&[0x72, 0xf8, 0x1f, 0x4e], "Dolby Digital or DTS for S/PDIF"),
    ];
    let head = file.bytes(samples.start, 1 << 16)?;
    let Some(first) = head.iter().position(|&b| b != 0) else { return Ok(()) };
    for (mark, name) in MARKS {
        let found = |head: &[u8]| head.windows(mark.len()).filter(|bytes| *bytes == mark).count();
        let body = head.get(first..).unwrap_or_default();
        if body.starts_with(mark) && found(body) > 1 {
            return Err(refused::codec(&format!("{name} in a WAV file")));
        }
    }
    Ok(())
}

fn number32(style: Style, bytes: [u8; 4]) -> u32 {
    if style == Style::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
