//! Detects a file's container from its content, never from its name, and checks its header.

use super::error::DecodeError;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::mp4::{self, Gapless};
use super::mpeg::{self, Walk};
use super::riff;

const KNOWN: &str = "unknown format; use MP3, FLAC, WAV, AIFF, Ogg Vorbis, Opus, AAC/M4A or ALAC";
/// How much junk before the first MPEG frame is skipped.
const SEARCH_BYTES: usize = 1 << 16;
const MAX_TAGS: u32 = 8;
const MAX_FLAC_BLOCKS: u32 = 4_096;

/// The container, with the header data that the decoder needs and symphonia does not provide.
#[derive(Debug)]
pub(super) enum Kind {
    Wav,
    Aiff,
    Flac,
    Ogg,
    Mp4(Option<Gapless>),
    /// Whether the segment states no size, as in a live recording, so that it ends with the file.
    Mkv(bool),
    Mpeg(Walk),
    Adts(Walk),
}

/// Detects the container and its offset, and checks its header.
pub(super) fn identify(file: &mut InputFile, limits: &AudioLimits) -> Result<(Kind, u64), DecodeError> {
    let start = skip_tags(file, limits)?;
    let (head, got) = file.peek::<16>(start)?;
    let four = [head[0], head[1], head[2], head[3]];
    let form = [head[8], head[9], head[10], head[11]];
    let kind = match (&four, &form) {
        _ if got == 0 => return Err(DecodeError::NotAudio("no data after the tags".into())),
        (b"RIFF", b"WAVE") => {
            riff::check_wav(file, start, limits)?;
            Kind::Wav
        }
        (b"FORM", b"AIFF" | b"AIFC") => {
            riff::check_aiff(file, start, limits)?;
            Kind::Aiff
        }
        (b"fLaC", _) => {
            check_flac(file, start, limits)?;
            Kind::Flac
        }
        (b"OggS", _) => {
            check_ogg(file)?;
            Kind::Ogg
        }
        ([0x1a, 0x45, 0xdf, 0xa3], _) => Kind::Mkv(mkv_is_open(file, start)?),
        _ if head[4..8] == *b"ftyp" => Kind::Mp4(mp4::check(file, start, limits)?),
        _ => {
            if let Some(name) = unsupported_format(&head) {
                return Err(DecodeError::Unsupported(name.into()));
            }
            return elementary(file, start);
        }
    };
    Ok((kind, start))
}

/// Returns the name of a known format that is not supported, for the error message.
fn unsupported_format(head: &[u8; 16]) -> Option<&'static str> {
    Some(match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => "AVI",
        [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..] => "WAV of more than 4 GiB (RF64)",
        [b'R', b'I', b'F', b'X', ..] => "big-endian WAV (RIFX)",
        [b'c', b'a', b'f', b'f', ..] => "CAF; convert it to FLAC or WAV",
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, ..] => "WMA; convert it to FLAC or WAV",
        [b'M', b'A', b'C', b' ', ..] => "Monkey's Audio; convert it to FLAC",
        [b'w', b'v', b'p', b'k', ..] => "WavPack; convert it to FLAC",
        [b'M', b'T', b'h', b'd', ..] => "MIDI (notes, not sound)",
        [b'#', b'!', b'A', b'M', b'R', ..] => "AMR",
        [_, _, _, _, b'm', b'o', b'o', b'v' | b'f', ..]
        | [_, _, _, _, b'm' | b'w', b'd' | b'i', b'a' | b'd', b't' | b'e', ..] => {
            "QuickTime without a file type; convert it to M4A"
        }
        _ => return None,
    })
}

/// Skips ID3v2 tags without reading them.
fn skip_tags(file: &mut InputFile, limits: &AudioLimits) -> Result<u64, DecodeError> {
    let mut at = 0;
    for _ in 0..MAX_TAGS {
        let (head, got) = file.peek::<10>(at)?;
        if got < 10 || !head.starts_with(b"ID3") || head[6..].iter().any(|b| b & 0x80 != 0) {
            break;
        }
        let size = head[6..].iter().fold(0_u64, |size, b| (size << 7) | u64::from(*b));
        limits.check_metadata(at + size)?;
        at += 10 + size + if head[5] & 0x10 == 0 { 0 } else { 10 };
        if at > file.len_bytes() {
            return Err(DecodeError::Truncated(format!(
                "the ID3 tag states {size} bytes, but the file has only {}",
                file.len_bytes()
            )));
        }
    }
    Ok(at)
}

/// Detects MP3 and ADTS. They have no container; a run of frame headers identifies them.
fn elementary(file: &mut InputFile, start: u64) -> Result<(Kind, u64), DecodeError> {
    let found = if mpeg::is_stream(file, start, false, 2)? {
        Some((start, false))
    } else if mpeg::is_stream(file, start, true, 2)? {
        Some((start, true))
    } else {
        search(file, start)?
    };
    match found {
        Some((at, false)) => Ok((Kind::Mpeg(mpeg::walk(file, at, false)?), at)),
        Some((at, true)) => Ok((Kind::Adts(mpeg::walk(file, at, true)?), at)),
        None => Err(DecodeError::NotAudio(KNOWN.into())),
    }
}

/// Searches for frames after junk, such as zeros or an unknown tag. Needs three in a row, since two occur by chance.
fn search(file: &mut InputFile, start: u64) -> Result<Option<(u64, bool)>, DecodeError> {
    let window = file.bytes(start, SEARCH_BYTES)?;
    for (at, pair) in window.windows(2).enumerate() {
        if pair[0] != 0xff || pair[1] < 0xe0 {
            continue;
        }
        let at = start + at as u64;
        for adts in [false, true] {
            if mpeg::is_stream(file, at, adts, 3)? && at + 1_024 < file.len_bytes() {
                return Ok(Some((at, adts)));
            }
        }
    }
    Ok(None)
}

/// Checks that the metadata blocks fit into the file, and the values of STREAMINFO.
fn check_flac(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<(), DecodeError> {
    let mut at = start + 4;
    let mut all_bytes = 0;
    for n in 0..MAX_FLAC_BLOCKS {
        let head = file.take::<4>(at)?;
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]);
        if n == 0 {
            if head[0] & 0x7f != 0 || size != 34 {
                return Err(DecodeError::Malformed("the first metadata block is not STREAMINFO".into()));
            }
            let info = file.take::<34>(at + 4)?;
            let rate_hz = u32::from_be_bytes([0, info[10], info[11], info[12]]) >> 4;
            limits.check_rate(rate_hz)?;
            limits.check_channels(usize::from((info[12] >> 1) & 7) + 1)?;
        }
        all_bytes += u64::from(size);
        limits.check_metadata(all_bytes)?;
        at += 4 + u64::from(size);
        if at > file.len_bytes() {
            return Err(DecodeError::Truncated("the file ends inside its header".into()));
        }
        if head[0] & 0x80 != 0 {
            return Ok(());
        }
    }
    Err(DecodeError::Malformed("the header has no last block".into()))
}

/// Returns whether the segment, which follows the EBML header, states no size (all bits of the size are ones).
fn mkv_is_open(file: &mut InputFile, start: u64) -> Result<bool, DecodeError> {
    let Some((size, header_bytes)) = mkv_size(file, start + 4)? else { return Ok(false) };
    let segment = start.saturating_add(4 + header_bytes).saturating_add(size);
    if file.peek::<4>(segment)?.0 != [0x18, 0x53, 0x80, 0x67] {
        return Ok(false);
    }
    Ok(mkv_size(file, segment + 4)?.is_some_and(|(size, bytes)| size == (1 << (7 * bytes)) - 1))
}

/// Returns an element's size, and the number of bytes that encode it.
fn mkv_size(file: &mut InputFile, at: u64) -> Result<Option<(u64, u64)>, DecodeError> {
    let raw = u64::from_be_bytes(file.peek::<8>(at)?.0);
    let bytes = u64::from(raw.leading_zeros()) + 1;
    Ok((bytes <= 8).then(|| ((raw >> (64 - 8 * bytes)) & ((1 << (7 * bytes)) - 1), bytes)))
}

/// Checks that the last page is complete. Accepts streams without an end mark, such as recordings of web radio.
fn check_ogg(file: &mut InputFile) -> Result<(), DecodeError> {
    const TWO_PAGES: u64 = 2 * 65_307;
    let from = file.len_bytes().saturating_sub(TWO_PAGES);
    let tail = file.bytes(from, 2 * 65_307)?;
    let Some(last) = tail.windows(5).rposition(|bytes| bytes == b"OggS\0") else { return Ok(()) };
    let page = tail.get(last..).unwrap_or_default();
    let segments = page.get(26).map(|&n| usize::from(n));
    let table = segments.and_then(|n| page.get(27..27 + n));
    let whole = table.is_some_and(|table| {
        let body: usize = table.iter().map(|&n| usize::from(n)).sum();
        27 + table.len() + body <= page.len()
    });
    if whole { Ok(()) } else { Err(DecodeError::Truncated("the last page is incomplete".into())) }
}
