//! Reading archives.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes, BytesMut};
use tar::{Archive, EntryType, Header, PaxExtensions};
use vocalizer_core::api::Provenance;
use vocalizer_core::limits::Limits;
use vocalizer_core::part::{Format, Stem};
use vocalizer_core::ports::Stems;

use super::{ArchiveError, Flaw, ORDER, PROVENANCE};

/// Maximum number of zeros after the end. `tar` pads its last record to 10 KiB, or to the size given with `-b`.
pub const MAX_TRAILER_BYTES: u64 = 1024 * 1024;

/// Block size of tar: all entries are padded to it.
pub(super) const BLOCK_BYTES: usize = 512;

/// Chunk size of [`read`].
const READ_BYTES: usize = 16 * 1024;

/// Maximum size of a PAX header. Python's has about 60 bytes.
const MAX_PAX_BYTES: usize = 4096;

/// How much larger than an MP3 a FLAC file may be: 24 bits at 96 kHz have 14 times the bits of an MP3 before they are packed.
const LOSSLESS_TIMES: u64 = 8;

/// Allowed PAX keys: none changes the content or the name of the file.
const PAX_KEYS: [&str; 8] = ["atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment"];

/// Maximum number of entries: 32 stems in two formats, and a provenance.
const MOST_ENTRIES: usize = 65;

/// Maximum length of an entry name in an error.
const EXCERPT_CHARS: usize = 64;

/// Reads an archive of four MP3s, in its order, in constant memory.
///
/// `sink` receives the bytes of each stem in chunks, none of them empty. The archive is valid only if this function
/// returns `Ok`; otherwise the caller must discard what the sink stored.
///
/// # Errors
///
/// [`ArchiveError::Limit`] for a stem over [`Limits::max_stem_bytes`], [`ArchiveError::Malformed`] for anything but the
/// four stems, [`ArchiveError::Read`] if `archive` fails and [`ArchiveError::Write`] if the sink fails.
pub fn read<R, F>(mut archive: R, limits: &Limits, mut sink: F) -> Result<(), ArchiveError>
where
    R: Read,
    F: FnMut(Stem, Bytes) -> io::Result<()>,
{
    let mut parser = Parser::new(limits);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let len = match archive.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(ArchiveError::Read)?,
        };
        if len == 0 {
            return parser.finish();
        }
        let mut chunk = Bytes::copy_from_slice(&buffer[..len]);
        while let Some((entry, piece)) = parser.next(&mut chunk)? {
            if let Entry::Stem(stem, _) = entry {
                sink(stem, piece).map_err(ArchiveError::Write)?;
            }
        }
    }
}

/// Reads an archive into memory. Only for small ones: the stems may have four times [`Limits::max_stem_bytes`].
///
/// # Errors
///
/// Those of [`read`].
pub fn read_stems<R: Read>(archive: R, limits: &Limits) -> Result<Stems, ArchiveError> {
    // Grows with the received bytes, not by the size in the header.
    let [mut drums, mut bass, mut other, mut vocals] = [const { Vec::new() }; 4];
    read(archive, limits, |stem, piece| {
        match stem {
            Stem::DRUMS => drums.extend_from_slice(&piece),
            Stem::BASS => bass.extend_from_slice(&piece),
            Stem::OTHER => other.extend_from_slice(&piece),
            Stem::VOCALS => vocals.extend_from_slice(&piece),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Stems { drums: drums.into(), bass: bass.into(), other: other.into(), vocals: vocals.into() })
}

/// A file in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Stem(Stem, Format),
    Provenance,
}

/// An incremental parser. It does no I/O, so it never blocks. `tar` parses the headers.
pub(super) struct Parser {
    max_stem_bytes: u64,
    /// The formats of stems that are allowed, and whether a provenance is.
    formats: &'static [Format],
    any_stems: bool,
    seen: Vec<Entry>,
    /// Whether the last entry was a PAX header.
    after_pax: bool,
    /// The partial block or PAX header.
    collected: BytesMut,
    state: State,
}

/// The expected next part.
enum State {
    Header,
    Pax {
        size_bytes: usize,
    },
    Entry {
        entry: Entry,
        left_bytes: u64,
        padding_bytes: usize,
    },
    Padding {
        left_bytes: usize,
    },
    /// Only zeros.
    Trailer {
        seen_bytes: u64,
    },
}

impl Parser {
    /// Reads archives of original programs: four MP3s.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max_stem_bytes: limits.max_stem_bytes,
            formats: &[Format::Mp3],
            any_stems: false,
            seen: Vec::new(),
            after_pax: false,
            collected: BytesMut::new(),
            state: State::Header,
        }
    }

    /// Also allows FLAC, a provenance and any stems; the caller checks which.
    pub(super) fn with_any_stems(self) -> Self {
        Self { formats: &[Format::Mp3, Format::Flac], any_stems: true, ..self }
    }

    /// Consumes bytes from the front of `input`. Returns the next chunk of a file, never empty, or `None` when `input`
    /// is consumed. After an error the parser must not be used.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<(Entry, Bytes)>, ArchiveError> {
        while !input.is_empty() {
            match &mut self.state {
                State::Header => {
                    if let Some(block) = collect(&mut self.collected, BLOCK_BYTES, input) {
                        self.state = self.header(&block)?;
                    }
                }
                State::Pax { size_bytes } => {
                    let size_bytes = *size_bytes;
                    if let Some(records) = collect(&mut self.collected, size_bytes, input) {
                        check_pax(&records)?;
                        self.state = State::Padding { left_bytes: padding(size_bytes as u64) };
                    }
                }
                State::Entry { entry, left_bytes, padding_bytes } => {
                    let len = usize::try_from(*left_bytes).map_or(input.len(), |left| left.min(input.len()));
                    let piece = (*entry, input.split_to(len));
                    *left_bytes -= len as u64;
                    if *left_bytes == 0 {
                        self.state = State::Padding { left_bytes: *padding_bytes };
                    }
                    return Ok(Some(piece));
                }
                State::Padding { left_bytes } => {
                    let len = input.len().min(*left_bytes);
                    input.advance(len);
                    *left_bytes -= len;
                    if *left_bytes == 0 {
                        self.state = State::Header;
                    }
                }
                State::Trailer { seen_bytes } => {
                    *seen_bytes += input.len() as u64;
                    if *seen_bytes > MAX_TRAILER_BYTES || input.iter().any(|&byte| byte != 0) {
                        return Err(ArchiveError::Malformed(Flaw::Trailer));
                    }
                    input.clear();
                }
            }
        }
        Ok(None)
    }

    /// Ends the input.
    pub(super) fn finish(self) -> Result<(), ArchiveError> {
        match self.state {
            State::Trailer { .. } => Ok(()),
            State::Header | State::Padding { left_bytes: 0 } if self.collected.is_empty() => {
                self.check_complete()?;
                // Of other stems it is not known here whether some are missing; the marker says that the archive is whole.
                let has_four = ORDER.into_iter().all(|stem| self.stems().contains(&stem));
                if has_four { Ok(()) } else { Err(ArchiveError::Malformed(Flaw::CutOff)) }
            }
            _ => Err(ArchiveError::Malformed(Flaw::CutOff)),
        }
    }

    fn header(&mut self, block: &[u8]) -> Result<State, ArchiveError> {
        let broken = |error| ArchiveError::Malformed(Flaw::Header(error));
        let mut archive = Archive::new(block);
        // Raw mode: extension headers appear as entries instead of being read into memory and applied.
        let Some(entry) = archive.entries().map_err(broken)?.raw(true).next() else {
            self.check_complete()?;
            return Ok(State::Trailer { seen_bytes: 0 });
        };
        let entry = entry.map_err(broken)?;
        let size_bytes = entry.header().entry_size().map_err(broken)?;
        match entry.header().entry_type() {
            EntryType::Regular => {
                self.after_pax = false;
                self.file(entry.header(), size_bytes)
            }
            EntryType::XHeader => {
                let small = usize::try_from(size_bytes).ok().filter(|&bytes| bytes <= MAX_PAX_BYTES);
                let size_bytes = small.filter(|_| !self.after_pax).ok_or(ArchiveError::Malformed(Flaw::Pax))?;
                self.after_pax = true;
                Ok(if size_bytes == 0 { State::Header } else { State::Pax { size_bytes } })
            }
            other => Err(ArchiveError::Malformed(Flaw::Type { type_byte: char::from(other.as_byte()) })),
        }
    }

    fn file(&mut self, header: &Header, size_bytes: u64) -> Result<State, ArchiveError> {
        let entry = self.entry(&header.path_bytes())?;
        let is_repeated = self.seen.contains(&entry);
        self.seen.push(entry);
        match entry {
            Entry::Stem(stem, _) if is_repeated => return Err(ArchiveError::Malformed(Flaw::Twice { stem })),
            Entry::Stem(stem, _) if size_bytes == 0 => return Err(ArchiveError::Malformed(Flaw::Empty { stem })),
            Entry::Stem(stem, format) => {
                let times = if format == Format::Mp3 { 1 } else { LOSSLESS_TIMES };
                let max_bytes = self.max_stem_bytes.saturating_mul(times);
                if size_bytes > max_bytes {
                    return Err(ArchiveError::Limit { stem, max_bytes, found_bytes: size_bytes });
                }
            }
            Entry::Provenance => {
                let most_bytes = Provenance::MAX_JSON_BYTES as u64;
                if is_repeated || !(1..=most_bytes).contains(&size_bytes) {
                    let what = format!("use one file of 1 to {most_bytes} bytes");
                    return Err(ArchiveError::Malformed(Flaw::Provenance(what)));
                }
            }
        }
        Ok(State::Entry { entry, left_bytes: size_bytes, padding_bytes: padding(size_bytes) })
    }

    fn entry(&self, path: &[u8]) -> Result<Entry, ArchiveError> {
        let name = path.strip_prefix(b"./").unwrap_or(path);
        let stem = str::from_utf8(name)
            .ok()
            .and_then(|name| name.rsplit_once('.'))
            .and_then(|(stem, format)| Some((stem.parse::<Stem>().ok()?, format.parse::<Format>().ok()?)));
        let is_allowed = |stem: &Stem| ORDER.contains(stem) || self.any_stems && self.seen.len() < MOST_ENTRIES;
        if let Some((stem, format)) = stem.filter(|(stem, format)| self.formats.contains(format) && is_allowed(stem)) {
            return Ok(Entry::Stem(stem, format));
        }
        if name == PROVENANCE.as_bytes() && self.formats.contains(&Format::Flac) {
            return Ok(Entry::Provenance);
        }
        let name = String::from_utf8_lossy(path).chars().take(EXCERPT_CHARS).collect();
        Err(ArchiveError::Malformed(Flaw::Name { name }))
    }

    /// Returns the stems seen so far, each once.
    fn stems(&self) -> Vec<Stem> {
        let mut stems: Vec<_> = self
            .seen
            .iter()
            .filter_map(|entry| if let Entry::Stem(stem, _) = entry { Some(*stem) } else { None })
            .collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    }

    /// Fails if a stem is missing: every format that occurs needs all stems that occur, or all four if no others may.
    fn check_complete(&self) -> Result<(), ArchiveError> {
        let stems = match self.stems() {
            stems if self.any_stems && !stems.is_empty() => stems,
            _ => ORDER.to_vec(),
        };
        let has =
            |wanted: Format| self.seen.iter().any(|entry| matches!(entry, Entry::Stem(_, format) if *format == wanted));
        let due = |&format: &Format| has(format) || (format == Format::Mp3 && !has(Format::Flac));
        for format in [Format::Flac, Format::Mp3].into_iter().filter(due) {
            if let Some(&stem) = stems.iter().find(|&&stem| !self.seen.contains(&Entry::Stem(stem, format))) {
                return Err(ArchiveError::Malformed(Flaw::Missing { stem }));
            }
        }
        if self.after_pax { Err(ArchiveError::Malformed(Flaw::Pax)) } else { Ok(()) }
    }
}

/// Moves bytes to `collected` until it has `wanted_bytes`, and returns them then.
fn collect(collected: &mut BytesMut, wanted_bytes: usize, input: &mut Bytes) -> Option<BytesMut> {
    let missing_bytes = wanted_bytes - collected.len();
    collected.extend_from_slice(&input.split_to(missing_bytes.min(input.len())));
    (collected.len() == wanted_bytes).then(|| collected.split())
}

/// Returns the padding after an entry of this size.
pub(super) fn padding(size_bytes: u64) -> usize {
    let last_bytes = usize::try_from(size_bytes % BLOCK_BYTES as u64).unwrap_or(0);
    (BLOCK_BYTES - last_bytes) % BLOCK_BYTES
}

fn check_pax(records: &[u8]) -> Result<(), ArchiveError> {
    let acceptable = PaxExtensions::new(records)
        .all(|record| record.is_ok_and(|record| record.key().is_ok_and(|key| PAX_KEYS.contains(&key))));
    if acceptable { Ok(()) } else { Err(ArchiveError::Malformed(Flaw::Pax)) }
}
