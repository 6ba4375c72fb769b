//! Finds the end of the song: tags and other bytes may follow it.

use super::error::DecodeError;
use super::input_file::InputFile;

const MAX_TAGS: u32 = 8;
/// The longest text of a Lyrics3 tag of the first version.
const LYRICS3_BYTES: u64 = 5_200;
/// The longest piece of unknown bytes that counts as something that follows the song.
const MAX_TAIL: usize = 1 << 20;

/// Returns where the tags at the end of the file start: ID3v1 and its extension, APE, Lyrics3, and ID3v2.4 with a
/// footer. Without tags, this is the length of the file.
pub(super) fn start(file: &mut InputFile) -> Result<u64, DecodeError> {
    let mut end = file.len_bytes();
    for _ in 0..MAX_TAGS {
        match tag_before(file, end)? {
            Some(start) if start < end => end = start,
            _ => break,
        }
    }
    Ok(end)
}

fn tag_before(file: &mut InputFile, end: u64) -> Result<Option<u64>, DecodeError> {
    let bytes_before = |file: &mut InputFile, back: u64| match end.checked_sub(back) {
        Some(at) => file.peek::<32>(at).map(|(bytes, _)| bytes),
        None => Ok([0; 32]),
    };
    if bytes_before(file, 128)?.starts_with(b"TAG") {
        let extended = bytes_before(file, 128 + 227)?.starts_with(b"TAG+");
        return Ok(end.checked_sub(if extended { 128 + 227 } else { 128 }));
    }
    let ape = bytes_before(file, 32)?;
    if ape.starts_with(b"APETAGEX") {
        let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, _, _, _, _, _, _, _, flags, ..] = ape;
        let size = u64::from(u32::from_le_bytes([a, b, c, d]));
        // The highest bit of the flags tells that the tag also has a header.
        return Ok(end.checked_sub(size + if flags & 0x80 == 0 { 0 } else { 32 }));
    }
    let lyrics = bytes_before(file, 15)?;
    if let Some(digits) = lyrics.get(..6).filter(|_| lyrics[6..].starts_with(b"LYRICS200")) {
        let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        return Ok(size.and_then(|size| end.checked_sub(size + 15)));
    }
    if bytes_before(file, 9)?.starts_with(b"LYRICSEND") {
        let from = end.saturating_sub(LYRICS3_BYTES);
        let text = file.bytes(from, usize::try_from(end - from).unwrap_or(0))?;
        return Ok(text.windows(11).rposition(|text| text == b"LYRICSBEGIN").map(|at| from + at as u64));
    }
    let footer = bytes_before(file, 10)?;
    if footer.starts_with(b"3DI") && footer[6..10].iter().all(|b| b & 0x80 == 0) {
        let size = footer[6..10].iter().fold(0_u64, |size, b| (size << 7) | u64::from(*b));
        return Ok(end.checked_sub(size + 20));
    }
    Ok(None)
}

/// Returns whether the bytes from `at` on may be damage within the song: they contain the mark of its parts, or there
/// are more of them than anything that follows songs has.
fn continues(file: &mut InputFile, at: u64, mark: &[u8; 4]) -> Result<bool, DecodeError> {
    let rest = file.bytes(at, MAX_TAIL)?;
    Ok(rest.len() == MAX_TAIL || rest.windows(4).any(|bytes| bytes == mark))
}

/// Cuts off what follows the last box of an MP4 file.
pub(super) fn cut_mp4(file: &mut InputFile, start: u64) -> Result<(), DecodeError> {
    /// A file has a few boxes, or a few thousand fragments.
    const MAX_BOXES: u32 = 1 << 20;
    let len = file.len_bytes();
    let (mut at, mut movie, mut media) = (start, false, false);
    for _ in 0..MAX_BOXES {
        if at >= len {
            return Ok(());
        }
        let (head, got) = file.peek::<16>(at)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => len - at,
            1 => {
                let [.., s, t, u, v, w, x, y, z] = head;
                u64::from_be_bytes([s, t, u, v, w, x, y, z])
            }
            size => u64::from(size),
        };
        let is_data = matches!(&kind, b"mdat" | b"moof" | b"moov");
        let fits = got >= 8 && size >= 8 && size <= len - at && kind.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
        if !fits {
            // An incomplete box of data is a truncated file. Anything else after the song is no part of it.
            if movie && media && !is_data && !continues(file, at, b"moof")? {
                file.narrow(0, at);
            }
            return Ok(());
        }
        movie |= &kind == b"moov";
        media |= &kind == b"mdat";
        at += size;
    }
    Ok(())
}

/// Cuts off what follows the segment of a Matroska or WebM file.
pub(super) fn cut_mkv(file: &mut InputFile, start: u64) -> Result<(), DecodeError> {
    let Some((size, header_bytes)) = mkv_size(file, start + 4)? else { return Ok(()) };
    let segment = start.saturating_add(4 + header_bytes).saturating_add(size);
    if file.peek::<4>(segment)?.0 != [0x18, 0x53, 0x80, 0x67] {
        return Ok(());
    }
    let Some((size, bytes)) = mkv_size(file, segment + 4)? else { return Ok(()) };
    let body = segment.saturating_add(4 + bytes);
    // A recording in progress states the largest size that the bytes can hold.
    let end = if size == largest(bytes) { mkv_end(file, body)? } else { body.saturating_add(size) };
    file.narrow(0, end.min(file.len_bytes()));
    Ok(())
}

/// Returns where an open-ended segment has its first bytes that are no element.
fn mkv_end(file: &mut InputFile, start: u64) -> Result<u64, DecodeError> {
    let mut at = start;
    while at < file.len_bytes() {
        let (head, _) = file.peek::<4>(at)?;
        let is_cluster = head == [0x1f, 0x43, 0xb6, 0x75];
        // The children of a segment, and of clusters, whose size may be unknown, too.
        let id_bytes = match head {
            [0x11, 0x4d, 0x9b, 0x74]
            | [0x15, 0x49, 0xa9, 0x66]
            | [0x16, 0x54, 0xae, 0x6b]
            | [0x1c, 0x53, 0xbb, 0x6b]
            | [0x19, 0x41, 0xa4, 0x69]
            | [0x10, 0x43, 0xa7, 0x70]
            | [0x12, 0x54, 0xc3, 0x67] => 4,
            _ if is_cluster => 4,
            [0x58, 0x54, ..] => 2,
            [0xe7 | 0xa3 | 0xa0 | 0xa7 | 0xab | 0xec | 0xbf | 0xaf, ..] => 1,
            _ if continues(file, at, &[0x1f, 0x43, 0xb6, 0x75])? => break,
            _ => return Ok(at),
        };
        let Some((size, bytes)) = mkv_size(file, at + id_bytes)? else { return Ok(at) };
        let body = at.saturating_add(id_bytes + bytes);
        at = if is_cluster && size == largest(bytes) { body } else { body.saturating_add(size) };
    }
    Ok(file.len_bytes())
}

/// The largest number in `bytes` bytes.
fn largest(bytes: u64) -> u64 {
    (1 << (7 * bytes)) - 1
}

/// Returns an element's size, and the number of bytes that encode it.
fn mkv_size(file: &mut InputFile, at: u64) -> Result<Option<(u64, u64)>, DecodeError> {
    let raw = u64::from_be_bytes(file.peek::<8>(at)?.0);
    let bytes = u64::from(raw.leading_zeros()) + 1;
    Ok((bytes <= 8).then(|| ((raw >> (64 - 8 * bytes)) & largest(bytes), bytes)))
}

/// Cuts off what follows the last page of an Ogg file, unless it is the start of another page.
pub(super) fn cut_ogg(file: &mut InputFile) -> Result<(), DecodeError> {
    /// The largest page, and what may follow it.
    const WINDOW: usize = 65_307 + MAX_TAIL;
    let from = file.len_bytes().saturating_sub(WINDOW as u64);
    let window = file.bytes(from, WINDOW)?;
    let Some(last) = window.windows(5).rposition(|bytes| bytes == b"OggS\0") else { return Ok(()) };
    let page = window.get(last..).unwrap_or_default();
    let Some(table) = page.get(26).and_then(|&n| page.get(27..27 + usize::from(n))) else { return Ok(()) };
    let bytes = 27 + table.len() + table.iter().map(|&n| usize::from(n)).sum::<usize>();
    let rest = page.get(bytes..).unwrap_or_default();
    if !rest.is_empty() && !b"OggS".starts_with(rest) {
        file.narrow(0, from + (last + bytes) as u64);
    }
    Ok(())
}
