//! Finds the frames of MP3 and ADTS files: skips tags, finds its way again after damage, and follows joined files and
//! changes of format.

use super::error::DecodeError;
use super::input_file::InputFile;
use super::mpeg::{Header, header_at, tag};

pub(super) use super::mpeg::Tag;

/// Bytes that are read at once when searching for the next frame.
const SEARCH_BYTES: usize = 1 << 16;
/// Tags longer than this are not skipped as tags.
const MAX_TAG_BYTES: u64 = 64 << 20;

/// What follows in the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// A complete frame of audio.
    Frame {
        /// Its offset in the file.
        at: u64,
        /// Its header.
        header: Header,
    },
    /// An information frame: a file starts here.
    Start(Tag),
    /// Bytes that are no frames, between frames, and how many frames they probably replace.
    Junk {
        /// The estimated number of lost frames.
        frames: f64,
    },
    /// The last frame, which is incomplete.
    Cut,
}

/// The position in a file, and what is known about its frames.
#[derive(Debug, Clone)]
pub(super) struct Framer {
    at: u64,
    adts: bool,
    last: Option<(u64, Header)>,
    /// Frames and bytes since the stream started, for the average length of a frame.
    frames: u64,
    bytes: u64,
    /// Whether all frames so far have the same bitrate, so that a number of bytes is a number of frames.
    constant: bool,
}

impl Framer {
    /// Starts at the first frame.
    pub(super) fn new(at: u64, adts: bool) -> Self {
        Self { at, adts, last: None, frames: 0, bytes: 0, constant: !adts }
    }

    /// Returns what follows, or `None` at the end of the audio.
    pub(super) fn next(&mut self, file: &mut InputFile) -> Result<Option<Unit>, DecodeError> {
        loop {
            if self.at >= file.len_bytes() {
                return Ok(None);
            }
            if let Some((header, informs)) = self.believable(file, self.at)? {
                let at = self.at;
                if at + header.len_bytes > file.len_bytes() {
                    self.at = file.len_bytes();
                    return Ok(Some(Unit::Cut));
                }
                self.at += header.len_bytes;
                if informs {
                    let found = tag(file, at, &header)?;
                    self.last = None;
                    return Ok(Some(Unit::Start(found)));
                }
                self.count(at, header);
                return Ok(Some(Unit::Frame { at, header }));
            }
            // One to three bytes of a further header.
            let (rest, got) = file.peek::<4>(self.at)?;
            if (1..4).contains(&got) {
                self.at = file.len_bytes();
                return Ok((rest[0] == 0xff && self.last.is_some()).then_some(Unit::Cut));
            }
            let size = tag_bytes(file, self.at)?;
            if size > 0 {
                self.at += size;
                self.last = None;
                continue;
            }
            let Some(next) = self.search(file)? else {
                let is_damage = self.is_damaged_end(file)?;
                self.at = file.len_bytes();
                return Ok(is_damage.then_some(Unit::Cut));
            };
            let junk = self.lost(file, next)?;
            self.at = next;
            self.last = None;
            if let Some(junk) = junk {
                return Ok(Some(junk));
            }
        }
    }

    fn count(&mut self, at: u64, header: Header) {
        if let Some((_, last)) = self.last {
            self.constant &= last.kbps == header.kbps && last.identity == header.identity;
            if last.identity != header.identity {
                (self.frames, self.bytes) = (0, 0);
            }
        }
        self.frames += 1;
        self.bytes += header.len_bytes;
        self.last = Some((at, header));
    }

    /// Returns the header at `at` if a frame starts there. A frame like the one before it is believed; after anything
    /// else, two more frames must follow.
    fn believable(&self, file: &mut InputFile, at: u64) -> Result<Option<(Header, bool)>, DecodeError> {
        let Some(found) = header_at(file, at, self.adts)? else { return Ok(None) };
        let same = self.last.is_some_and(|(_, last)| last.identity == found.0.identity);
        Ok((same || self.continues(file, at, &found.0)?).then_some(found))
    }

    /// Returns whether two more frames, a tag or the end of the file follow the frame at `at`.
    fn continues(&self, file: &mut InputFile, at: u64, first: &Header) -> Result<bool, DecodeError> {
        let mut next = at + first.len_bytes;
        // A complete frame at the very end is believed; an incomplete one only after another.
        for n in 0..2 {
            if next == file.len_bytes() {
                return Ok(true);
            }
            if next > file.len_bytes() {
                return Ok(n > 0);
            }
            match header_at(file, next, self.adts)? {
                Some((header, _)) if header.identity == first.identity => next += header.len_bytes,
                _ => return Ok(tag_bytes(file, next)? > 0 || (n > 0 && self.starts(file, next)?)),
            }
        }
        Ok(true)
    }

    /// Returns whether two equal frames start at `at`: another stream that follows.
    fn starts(&self, file: &mut InputFile, at: u64) -> Result<bool, DecodeError> {
        let Some((first, _)) = header_at(file, at, self.adts)? else { return Ok(false) };
        let next = header_at(file, at + first.len_bytes, self.adts)?;
        Ok(next.is_some_and(|(next, _)| next.identity == first.identity))
    }

    /// Returns the offset of the next frame or tag.
    fn search(&self, file: &mut InputFile) -> Result<Option<u64>, DecodeError> {
        let mut from = self.at + 1;
        loop {
            let window = file.bytes(from, SEARCH_BYTES)?;
            if window.len() < 4 {
                return Ok(None);
            }
            for (offset, pair) in window.windows(2).enumerate() {
                let at = from + offset as u64;
                let is_frame = pair[0] == 0xff && pair[1] >= 0xe0 && {
                    match header_at(file, at, self.adts)? {
                        Some((header, _)) => self.continues(file, at, &header)?,
                        None => false,
                    }
                };
                let is_tag = matches!(pair, b"ID" | b"TA" | b"AP") && tag_bytes(file, at)? > 0;
                if is_frame || is_tag {
                    return Ok(Some(at));
                }
            }
            from += window.len() as u64 - 1;
        }
    }

    /// Returns whether the rest of the file looks like frames that are damaged, not like padding or a text.
    fn is_damaged_end(&self, file: &mut InputFile) -> Result<bool, DecodeError> {
        const LOOK_BYTES: usize = 4_096;
        let rest = file.len_bytes() - self.at;
        if self.frames == 0 || rest < 4 * self.bytes / self.frames {
            return Ok(false);
        }
        let bytes = file.bytes(self.at, LOOK_BYTES)?;
        let plain = bytes.iter().filter(|&&b| b == 0 || b == 0xff || b.is_ascii_graphic() || b.is_ascii_whitespace());
        Ok(plain.count() < bytes.len() * 3 / 4)
    }

    /// Returns how many frames the bytes up to `next` replace; `None` if they are only padding.
    fn lost(&self, file: &mut InputFile, next: u64) -> Result<Option<Unit>, DecodeError> {
        let Some((start, _)) = self.last else { return Ok(None) };
        let only_padding = {
            let bytes = file.bytes(self.at, usize::try_from(next - self.at).unwrap_or(usize::MAX).min(SEARCH_BYTES))?;
            bytes.iter().all(|&b| b == 0) && bytes.len() as u64 == next - self.at
        };
        // What follows the last frame before other tags is no damage.
        if tag_bytes(file, next)? > 0 && only_padding {
            return Ok(None);
        }
        let average = self.bytes as f64 / self.frames.max(1) as f64;
        // The last frame before the damage may state a wrong length, so count from its start.
        let frames = (next - start) as f64 / average - 1.0;
        // In a stream of constant bitrate, bytes that are not a whole number of frames were inserted or removed.
        let whole = frames.round();
        let inserted = self.constant && ((frames - whole).abs() * average > whole.max(0.0) + 2.5);
        let frames = if inserted { 0.0 } else { frames.max(0.0) };
        Ok(Some(Unit::Junk { frames }))
    }
}

/// Returns the length of the tag at `at`: ID3v2, ID3v1, APE or Lyrics3; 0 if there is none.
pub(super) fn tag_bytes(file: &mut InputFile, at: u64) -> Result<u64, DecodeError> {
    let (head, got) = file.peek::<32>(at)?;
    if got >= 10 && head.starts_with(b"ID3") && head[3] < 0xff && head[6..10].iter().all(|b| b & 0x80 == 0) {
        let size = head[6..10].iter().fold(0_u64, |size, b| (size << 7) | u64::from(*b));
        let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
        return Ok(if size <= MAX_TAG_BYTES { 10 + size + footer } else { 0 });
    }
    if head.starts_with(b"TAG") && got >= 32 {
        return Ok(if head.starts_with(b"TAG+") { 227 } else { 128 });
    }
    if head.starts_with(b"APETAGEX") && got == 32 {
        let size = u64::from(u32::from_le_bytes([head[12], head[13], head[14], head[15]]));
        let is_header = head[23] & 0x20 != 0;
        return Ok(match size {
            0..32 => 0,
            size if size > MAX_TAG_BYTES => 0,
            size if is_header => 32 + size,
            // The footer of a tag without a header.
            _ => 32,
        });
    }
    if head.starts_with(b"LYRICSBEGIN") {
        let body = file.bytes(at, 1 << 16)?;
        return Ok(body
            .windows(9)
            .position(|end| end == b"LYRICS200" || end == b"LYRICSEND")
            .map_or(0, |n| n as u64 + 9));
    }
    Ok(0)
}
