//! Finds the chunks of RIFF, AIFF, Wave64 and CAF files, also if sizes are wrong.
//!
//! Many programs write wrong sizes: 0 or the largest number if they write to a pipe, sizes without the pad byte, sizes
//! modulo 4 GiB. The size of the outer chunk is ignored, since nothing depends on it.

use super::error::DecodeError;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::tail;

/// The maximum number of chunks; a valid file has a handful.
const MAX_CHUNKS: u32 = 4_096;
/// How far to search for a chunk after a wrong size, and how often.
const SEARCH_BYTES: usize = 1 << 20;
const MAX_SEARCHES: u32 = 8;
/// Names of chunks that follow others in practice. Other names count only if their size fits.
const KNOWN: [&[u8; 4]; 40] = [
    b"fmt ", b"data", b"LIST", b"fact", b"JUNK", b"junk", b"bext", b"id3 ", b"ID3 ", b"PEAK", b"cue ", b"smpl",
    b"inst", b"PAD ", b"iXML", b"FLLR", b"levl", b"DISP", b"axml", b"chna", b"_PMX", b"cart", b"umid", b"acid",
    b"strc", b"afsp", b"ds64", b"COMM", b"SSND", b"FVER", b"MARK", b"COMT", b"NAME", b"AUTH", b"(c) ", b"ANNO",
    b"APPL", b"CHAN", b"INST", b"MIDI",
];

/// How a format writes its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// WAV: little-endian sizes of 32 bits.
    Little,
    /// AIFF and RIFX: big-endian sizes of 32 bits.
    Big,
    /// Wave64: names of 16 bytes, and sizes of 64 bits that include the header.
    Wave64,
    /// CAF: big-endian sizes of 64 bits.
    Caf,
}

impl Style {
    /// The bytes before the first chunk.
    fn first(self) -> u64 {
        match self {
            Self::Little | Self::Big => 12,
            Self::Wave64 => 40,
            Self::Caf => 8,
        }
    }

    fn header_bytes(self) -> u64 {
        match self {
            Self::Little | Self::Big => 8,
            Self::Wave64 => 24,
            Self::Caf => 12,
        }
    }

    /// Reads the chunk header at `at`. Returns `None` if the file ends there.
    fn header(self, file: &mut InputFile, at: u64) -> Result<Option<Chunk>, DecodeError> {
        let (head, got) = file.peek::<24>(at)?;
        if (got as u64) < self.header_bytes() {
            return Ok(None);
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = head;
        let size = match self {
            Self::Little => u64::from(u32::from_le_bytes([e, f, g, h])),
            Self::Big => u64::from(u32::from_be_bytes([e, f, g, h])),
            Self::Caf => u64::from_be_bytes([e, f, g, h, i, j, k, l]),
            Self::Wave64 => {
                let [.., s, t, u, v, w, x, y, z] = head;
                u64::from_le_bytes([s, t, u, v, w, x, y, z]).saturating_sub(24)
            }
        };
        Ok(Some(Chunk { id: [a, b, c, d], body: at.saturating_add(self.header_bytes()), size }))
    }

    /// Returns whether a chunk may start at `at`: it has a known name, or a printable one and a size that fits.
    fn is_chunk(self, file: &mut InputFile, at: u64) -> Result<bool, DecodeError> {
        let Some(chunk) = self.header(file, at)? else { return Ok(false) };
        let printable = chunk.id.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
        Ok(KNOWN.contains(&&chunk.id) || (printable && chunk.fits(file)))
    }

    /// Returns where the chunk after `chunk` starts. In doubt, the place where a known name is wins.
    fn next(self, file: &mut InputFile, chunk: &Chunk) -> Result<u64, DecodeError> {
        let end = chunk.body.saturating_add(chunk.size);
        let padded = match self {
            Self::Little | Self::Big => end.saturating_add(chunk.size & 1),
            Self::Wave64 => end.saturating_add((8 - chunk.size % 8) % 8),
            Self::Caf => return Ok(end),
        };
        let known = |file: &mut InputFile, at| -> Result<bool, DecodeError> {
            Ok(self.header(file, at)?.is_some_and(|next| KNOWN.contains(&&next.id)))
        };
        if known(file, padded)? {
            return Ok(padded);
        }
        for at in [end, end.saturating_add(1), end.saturating_sub(1)] {
            if known(file, at)? {
                return Ok(at);
            }
        }
        Ok(padded)
    }
}

/// A chunk's name, and the place and size of its body as stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) id: [u8; 4],
    pub(super) body: u64,
    pub(super) size: u64,
}

impl Chunk {
    fn fits(&self, file: &InputFile) -> bool {
        self.body.saturating_add(self.size) <= file.len_bytes()
    }
}

/// The chunks that the caller asked for.
#[derive(Debug)]
pub(super) struct Chunks(Vec<Chunk>);

impl Chunks {
    /// Walks over the chunks until those in `needed` are found. The last of them holds the samples. Keeps those in
    /// `wanted`, too.
    pub(super) fn find(
        file: &mut InputFile,
        start: u64,
        style: Style,
        needed: [&[u8; 4]; 2],
        wanted: &[&[u8; 4]],
        limits: &AudioLimits,
    ) -> Result<Self, DecodeError> {
        let first = start + style.first();
        let mut found = Self(Vec::new());
        found.walk(file, first, style, &needed, wanted, limits)?;
        // A chunk with a wrong size may have hidden the samples.
        if found.get(needed[1]).is_none()
            && let Some(at) = search(file, style, first, &needed[1..])?
            && let Some(chunk) = style.header(file, at)?
        {
            found.0.push(chunk);
        }
        Ok(found)
    }

    /// Adds those chunks in `wanted` that start at `at` or later.
    pub(super) fn add_from(
        &mut self,
        file: &mut InputFile,
        at: u64,
        style: Style,
        wanted: &[&[u8; 4]],
        limits: &AudioLimits,
    ) -> Result<(), DecodeError> {
        self.walk(file, at, style, &[], wanted, limits)
    }

    fn walk(
        &mut self,
        file: &mut InputFile,
        mut at: u64,
        style: Style,
        needed: &[&[u8; 4]],
        wanted: &[&[u8; 4]],
        limits: &AudioLimits,
    ) -> Result<(), DecodeError> {
        let mut other_bytes = 0_u64;
        let mut searches = 0;
        for _ in 0..MAX_CHUNKS {
            let Some(chunk) = style.header(file, at)? else { break };
            if (needed.contains(&&chunk.id) || wanted.contains(&&chunk.id)) && self.get(&chunk.id).is_none() {
                self.0.push(chunk);
            }
            if !needed.is_empty() && needed.iter().all(|id| self.get(id).is_some()) {
                break;
            }
            let is_samples = needed.last() == Some(&&chunk.id);
            if is_samples && (chunk.size == 0 || !chunk.fits(file)) {
                // The samples reach to the end of the file, so no description follows.
                break;
            }
            if !is_samples && chunk.fits(file) {
                other_bytes = other_bytes.saturating_add(chunk.size);
                limits.check_metadata(other_bytes)?;
            }
            let next = style.next(file, &chunk)?;
            at = if next == file.len_bytes() || style.is_chunk(file, next)? {
                next
            } else {
                searches += 1;
                match search(file, style, chunk.body, needed)?.filter(|_| searches <= MAX_SEARCHES) {
                    Some(at) => at,
                    None => break,
                }
            };
        }
        Ok(())
    }

    pub(super) fn get(&self, id: &[u8; 4]) -> Option<Chunk> {
        self.0.iter().find(|chunk| &chunk.id == id).copied()
    }
}

/// Searches for the header of a needed chunk from `from` on.
fn search(file: &mut InputFile, style: Style, from: u64, needed: &[&[u8; 4]]) -> Result<Option<u64>, DecodeError> {
    let window = file.bytes(from, SEARCH_BYTES)?;
    for (at, id) in window.windows(4).enumerate() {
        if !needed.iter().any(|needed| id == needed.as_slice()) {
            continue;
        }
        let at = from.saturating_add(at as u64);
        if let Some(chunk) = style.header(file, at)? {
            // The text "data" is frequent, a size that fits after it is not.
            if chunk.fits(file) || is_placeholder(chunk.size) {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

/// Where the samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Samples {
    pub(super) start: u64,
    /// The end of what is there.
    pub(super) end: u64,
    /// The size that the header states, or the size that is there if it states none.
    pub(super) stated_bytes: u64,
}

impl Samples {
    /// Finds the samples, whose chunk states `size` bytes from `start` on. `outer_end` is the end of the file according
    /// to the outer chunk, if it states one.
    pub(super) fn locate(
        file: &mut InputFile,
        start: u64,
        size: u64,
        style: Style,
        outer_end: Option<u64>,
    ) -> Result<Self, DecodeError> {
        let len = file.len_bytes();
        let there = len.saturating_sub(start);
        let open_ended = if size > there {
            // If the outer size is right, only the inner one is wrong.
            is_placeholder(size) || outer_end.is_some_and(|end| end.abs_diff(len) <= 1)
        } else {
            size == 0 && there > 0 && !style.is_chunk(file, start)?
        };
        if open_ended {
            let end = tail::start(file)?.max(start);
            return Ok(Self { start, end, stated_bytes: end - start });
        }
        if size > there {
            return Ok(Self { start, end: len, stated_bytes: size });
        }
        // A size of 32 bits in a file of more than 4 GiB is the true size without its high bits.
        let wraps = (there - size) >> 32;
        let short = matches!(style, Style::Little | Style::Big);
        if short && wraps > 0 && !style.is_chunk(file, start + size + (size & 1))? {
            let size = size + (wraps << 32);
            return Ok(Self { start, end: start + size, stated_bytes: size });
        }
        Ok(Self { start, end: start + size, stated_bytes: size })
    }

    /// Returns an error if there are no samples.
    pub(super) fn check_any(&self) -> Result<(), DecodeError> {
        if self.stated_bytes == 0 {
            Err(DecodeError::Empty("the audio has no samples"))
        } else if self.end <= self.start {
            Err(DecodeError::Truncated("no samples after the header".into()))
        } else {
            Ok(())
        }
    }
}

/// Returns whether programs write this size when they cannot know the true one: ffmpeg, mpg123 and lame the largest
/// numbers of 32 bits, arecord 2 GiB, sox and mplayer numbers just above 0x7f000000 or 0x7fff0000.
pub(super) fn is_placeholder(size: u64) -> bool {
    matches!(size,
        0x7f00_0000..=0x7f00_00ff | 0x7fff_0000..=0x8000_00ff | 0xffff_0000..=0xffff_ffff | 0x7fff_ffff_0000_0000..)
}
