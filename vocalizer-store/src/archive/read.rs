//! Archive to stems.

use std::io::{self, Read};

use bytes::Bytes;
use tar::{Archive, Entry, EntryType, PaxExtensions};
use vocalizer_core::limits::Limits;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::Stems;

use super::{ArchiveError, Flaw, ORDER, file_name};

/// Most zeros that may follow the end of an archive. `tar` fills its last record up to 10 KiB, or to what `-b` says.
pub const MAX_TRAILER_BYTES: u64 = 1024 * 1024;

/// Largest PAX header that is looked at. Python's has some 60 bytes.
const MAX_PAX_BYTES: u64 = 4096;

/// What a PAX header may speak of: nothing that changes which bytes are the file or what it is called.
const PAX_KEYS: [&str; 8] = ["atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment"];

/// Longest piece of a foreign name that an error repeats.
const EXCERPT_CHARS: usize = 64;

/// Reads an archive stem by stem, in the archive's order, in memory that does not grow with it.
///
/// `sink` gets each stem with its size in bytes and a reader that gives exactly so many, or fails. What it leaves unread
/// is skipped. An archive is known to be good only when this function returns `Ok`: until then, whatever the sink stored
/// has to be something that can be thrown away.
///
/// `archive` is read in blocks of 512 bytes, so give it a buffer. Blocking; call it off the runtime's threads.
///
/// # Errors
///
/// [`ArchiveError::Limit`] for a stem over [`Limits::max_stem_bytes`], [`ArchiveError::Malformed`] for anything but the
/// four stems, [`ArchiveError::Read`] when `archive` itself fails and [`ArchiveError::Write`] when the sink does.
pub fn read<R, F>(archive: R, limits: &Limits, sink: F) -> Result<(), ArchiveError>
where
    R: Read,
    F: FnMut(Stem, u64, &mut dyn Read) -> io::Result<()>,
{
    let mut source = Source { inner: archive, failure: None };
    let outcome = read_entries(&mut source, limits, sink).and_then(|()| read_trailer(&mut source));
    // Below, a connection that broke looks like an archive that did; only the source knows which it was.
    match source.failure {
        Some(error) => Err(ArchiveError::Read(error)),
        None => outcome,
    }
}

/// Reads an archive into memory: for small ones, since four stems may have four times [`Limits::max_stem_bytes`].
///
/// # Errors
///
/// Those of [`read`].
pub fn read_stems<R: Read>(archive: R, limits: &Limits) -> Result<Stems, ArchiveError> {
    let mut stems = Stems { drums: Bytes::new(), bass: Bytes::new(), other: Bytes::new(), vocals: Bytes::new() };
    read(archive, limits, |stem, _, bytes| {
        // Grown as bytes come in, never by what the header promises.
        let mut whole = Vec::new();
        bytes.read_to_end(&mut whole)?;
        let place = match stem {
            Stem::Drums => &mut stems.drums,
            Stem::Bass => &mut stems.bass,
            Stem::Other => &mut stems.other,
            Stem::Vocals => &mut stems.vocals,
            Stem::Guitar | Stem::Piano => return Ok(()),
        };
        *place = whole.into();
        Ok(())
    })?;
    Ok(stems)
}

fn read_entries<R, F>(source: &mut Source<R>, limits: &Limits, mut sink: F) -> Result<(), ArchiveError>
where
    R: Read,
    F: FnMut(Stem, u64, &mut dyn Read) -> io::Result<()>,
{
    let mut missing = ORDER.to_vec();
    let mut after_pax = false;
    let mut archive = Archive::new(source);
    // Raw: extension headers come as entries, instead of being read into memory and obeyed.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let size_bytes = entry.header().entry_size().map_err(broken)?;
        match entry.header().entry_type() {
            EntryType::Regular => {}
            EntryType::XHeader if !after_pax => {
                check_pax(&mut entry, size_bytes)?;
                after_pax = true;
                continue;
            }
            EntryType::XHeader => return Err(ArchiveError::Malformed(Flaw::Pax)),
            other => return Err(ArchiveError::Malformed(Flaw::Type { type_byte: char::from(other.as_byte()) })),
        }
        after_pax = false;
        let stem = stem_of(&entry.header().path_bytes())?;
        let Some(place) = missing.iter().position(|&wanted| wanted == stem) else {
            return Err(ArchiveError::Malformed(Flaw::Twice { stem }));
        };
        missing.remove(place);
        if size_bytes == 0 {
            return Err(ArchiveError::Malformed(Flaw::Empty { stem }));
        }
        if size_bytes > limits.max_stem_bytes {
            let max_bytes = limits.max_stem_bytes;
            return Err(ArchiveError::Limit { stem, max_bytes, found_bytes: size_bytes });
        }
        let mut file = File { entry: &mut entry, left_bytes: size_bytes, cut_off: false };
        let stored = sink(stem, size_bytes, &mut file);
        if file.cut_off {
            return Err(ArchiveError::Malformed(Flaw::CutOff));
        }
        stored.map_err(ArchiveError::Write)?;
    }
    match missing.first() {
        Some(&stem) => Err(ArchiveError::Malformed(Flaw::Missing { stem })),
        None if after_pax => Err(ArchiveError::Malformed(Flaw::Pax)),
        None => Ok(()),
    }
}

fn read_trailer<R: Read>(source: &mut Source<R>) -> Result<(), ArchiveError> {
    let mut seen_bytes = 0;
    let mut block = [0; 4096];
    loop {
        match source.read(&mut block).map_err(ArchiveError::Read)? {
            0 => return Ok(()),
            len => {
                seen_bytes += len as u64;
                if seen_bytes > MAX_TRAILER_BYTES || block.iter().take(len).any(|&byte| byte != 0) {
                    return Err(ArchiveError::Malformed(Flaw::Trailer));
                }
            }
        }
    }
}

fn stem_of(path: &[u8]) -> Result<Stem, ArchiveError> {
    let name = path.strip_prefix(b"./").unwrap_or(path);
    let stem = ORDER.into_iter().find(|&stem| file_name(stem).is_some_and(|wanted| wanted.as_bytes() == name));
    stem.ok_or_else(|| {
        let name = String::from_utf8_lossy(path).chars().take(EXCERPT_CHARS).collect();
        ArchiveError::Malformed(Flaw::Name { name })
    })
}

fn check_pax<R: Read>(entry: &mut Entry<'_, R>, size_bytes: u64) -> Result<(), ArchiveError> {
    if size_bytes > MAX_PAX_BYTES {
        return Err(ArchiveError::Malformed(Flaw::Pax));
    }
    let mut records = Vec::new();
    entry.read_to_end(&mut records).map_err(broken)?;
    if records.len() as u64 != size_bytes {
        return Err(ArchiveError::Malformed(Flaw::CutOff));
    }
    let acceptable = PaxExtensions::new(&records)
        .all(|record| record.is_ok_and(|record| record.key().is_ok_and(|key| PAX_KEYS.contains(&key))));
    if acceptable { Ok(()) } else { Err(ArchiveError::Malformed(Flaw::Pax)) }
}

/// Sorts an error of the tar reader, which reports a cut as `UnexpectedEof` or in words.
fn broken(error: io::Error) -> ArchiveError {
    let text = error.to_string();
    let cut_off = error.kind() == io::ErrorKind::UnexpectedEof
        || text.contains("unexpected EOF")
        || text.contains("failed to read entire block");
    ArchiveError::Malformed(if cut_off { Flaw::CutOff } else { Flaw::Header(error) })
}

/// Remembers whether the outer reader failed.
struct Source<R> {
    inner: R,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                // The tar reader would take it for a failure.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
                read => return read,
            }
        }
    }
}

/// One stem's bytes: as many as were promised, or an error.
struct File<'a, 'b, R: Read> {
    entry: &'a mut Entry<'b, R>,
    left_bytes: u64,
    cut_off: bool,
}

impl<R: Read> Read for File<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let len = self.entry.read(buffer)?;
        if len == 0 && self.left_bytes > 0 {
            self.cut_off = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left_bytes = self.left_bytes.saturating_sub(len as u64);
        Ok(len)
    }
}
