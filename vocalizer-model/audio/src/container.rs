//! Detects a file's container from its content, never from its name, and checks its header.

use super::aiff;
use super::au;
use super::caf;
use super::chunks::Style;
use super::elementary::{self, Walk};
use super::error::DecodeError;
use super::flac;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::mp4::{self, Movie};
use super::mpeg;
use super::raw::RawTrack;
use super::refused;
use super::riff::{self, Content};
use super::tail;

const KNOWN: &str = "unknown format; use MP3, FLAC, WAV, AIFF, Ogg Vorbis, Opus, AAC/M4A or ALAC";
/// How much junk before the first MPEG frame is skipped.
const SEARCH_BYTES: usize = 1 << 16;
/// How much of the start of a file is compared with the marks of other formats.
const MARK_BYTES: usize = 1 << 10;
const MAX_TAGS: u32 = 8;
/// The maximum number of streams in an Ogg file.
const MAX_STREAMS: u32 = 64;
/// The first bytes of a Wave64 file.
const WAVE64: [u8; 16] =
    [b'r', b'i', b'f', b'f', 0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0x00, 0x00];

/// The container, with the header data that the decoder needs and symphonia does not provide.
#[derive(Debug)]
pub(super) enum Kind {
    /// WAV, AIFF, AU, CAF and their relatives.
    Raw(Box<RawTrack>),
    /// FLAC, with the positions of the channels as a mask of WAV if the file states them.
    Flac(Option<u32>),
    Ogg,
    Mp4(Movie),
    Mkv,
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
        (b"RIFF", b"WAVE") => return wav(file, start, Style::Little, "wav", limits),
        (b"RIFX", b"WAVE") => return wav(file, start, Style::Big, "wav", limits),
        (b"RF64", b"WAVE") => return wav(file, start, Style::Little, "rf64", limits),
        (b"BW64", b"WAVE") => return wav(file, start, Style::Little, "bw64", limits),
        _ if head == WAVE64 => return wav(file, start, Style::Wave64, "w64", limits),
        (b"FORM", b"AIFF" | b"AIFC") => Kind::Raw(Box::new(aiff::read(file, start, &form == b"AIFC", limits)?)),
        (b".snd" | b"dns.", _) => Kind::Raw(Box::new(au::read(file, start, &four == b".snd", limits)?)),
        (b"caff", _) => match caf::read(file, start, limits)? {
            Some(track) => Kind::Raw(Box::new(track)),
            None => return frames(file),
        },
        (b"fLaC", _) => Kind::Flac(flac::check(file, start, limits)?),
        (b"OggS", _) => {
            check_ogg(file, start)?;
            tail::cut_ogg(file)?;
            Kind::Ogg
        }
        ([0x1a, 0x45, 0xdf, 0xa3], _) => {
            tail::cut_mkv(file, start)?;
            Kind::Mkv
        }
        _ => {
            if let Some(error) = refused::by_mark(&file.bytes(start, MARK_BYTES)?) {
                return Err(error);
            }
            match &head[4..8] {
                b"ftyp" => tail::cut_mp4(file, start)?,
                b"moov" | b"mdat" | b"wide" | b"pnot" | b"free" | b"skip" => {
                    tail::cut_mp4(file, start)?;
                    // QuickTime files before MP4 have no file type, which the demuxer accepts at any place.
                    file.append(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ".to_vec());
                }
                _ => return elementary(file, start),
            }
            let movie = mp4::check(file, start, limits)?;
            if !movie.tracks.is_empty() && movie.tracks.iter().all(|track| matches!(&track.codec, b"enca" | b"drms")) {
                return Err(refused::codec("encrypted sound"));
            }
            Kind::Mp4(movie)
        }
    };
    Ok((kind, start))
}

fn wav(
    file: &mut InputFile,
    start: u64,
    style: Style,
    name: &'static str,
    limits: &AudioLimits,
) -> Result<(Kind, u64), DecodeError> {
    match riff::read(file, start, style, name, limits)? {
        Content::Raw(track) => Ok((Kind::Raw(track), start)),
        Content::Frames => frames(file),
        Content::Flac => Ok((Kind::Flac(flac::check(file, 0, limits)?), 0)),
    }
}

/// Detects the MPEG frames that a container said it holds.
fn frames(file: &mut InputFile) -> Result<(Kind, u64), DecodeError> {
    elementary(file, 0).map_err(|error| match error {
        DecodeError::NotAudio(_) => refused::codec("WAV or CAF with a codec that its header does not describe"),
        error => error,
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
    let end = tail::start(file)?;
    file.narrow(0, end);
    let found = if mpeg::is_stream(file, start, false, 2)? {
        Some((start, false))
    } else if mpeg::is_stream(file, start, true, 2)? {
        Some((start, true))
    } else if mpeg::is_free_format_stream(file, start)? {
        return Err(refused::codec("MP3 of free format (no stated bitrate)"));
    } else {
        search(file, start)?
    };
    match found {
        Some((at, false)) => Ok((Kind::Mpeg(elementary::walk(file, at, false)?), at)),
        Some((at, true)) => Ok((Kind::Adts(elementary::walk(file, at, true)?), at)),
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

/// Refuses Ogg files whose streams are all in codecs that are not supported.
fn check_ogg(file: &mut InputFile, start: u64) -> Result<(), DecodeError> {
    let mut at = start;
    let (mut sound, mut other) = (None, false);
    for _ in 0..MAX_STREAMS {
        let (page, _) = file.peek::<27>(at)?;
        // The first page of each stream has a flag, and these pages come before all others.
        if !page.starts_with(b"OggS\0") || page[5] & 2 == 0 {
            break;
        }
        let table = file.bytes(at + 27, usize::from(page[26]))?;
        let body = at + 27 + u64::from(page[26]);
        match refused::in_ogg(&file.peek::<16>(body)?.0) {
            Some((name, true)) => sound = sound.or(Some(name)),
            Some((_, false)) => other = true,
            None => return Ok(()),
        }
        at = body + table.iter().map(|&n| u64::from(n)).sum::<u64>();
    }
    match sound {
        Some(name) => Err(refused::codec(name)),
        None if other => Err(DecodeError::NoAudioTrack),
        None => Ok(()),
    }
}
