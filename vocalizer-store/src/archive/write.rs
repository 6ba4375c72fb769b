//! Writing archives.

use std::io::{self, Write};

use tar::{Builder, EntryType, Header};
use vocalizer_core::part::{Format, Part};
use vocalizer_core::ports::Stems;

use super::{ArchiveError, Flaw, ORDER, file_name};

/// Writes an archive of four MP3s and returns the flushed writer.
///
/// Equal stems give equal bytes.
///
/// # Errors
///
/// [`ArchiveError::Malformed`] for an empty stem, before anything is written; [`ArchiveError::Write`] if `out` fails.
pub fn write<W: Write>(stems: &Stems, out: W) -> Result<W, ArchiveError> {
    let mut files = Vec::new();
    for stem in ORDER {
        match stems.get(Part::Stem(stem)) {
            Some(bytes) if bytes.is_empty() => return Err(ArchiveError::Malformed(Flaw::Empty { stem })),
            Some(bytes) => files.push((file_name(stem, Format::Mp3), bytes)),
            None => return Err(ArchiveError::Malformed(Flaw::Missing { stem })),
        }
    }
    let mut archive = Builder::new(out);
    for (name, bytes) in files {
        let header = header(&name, bytes.len() as u64).map_err(ArchiveError::Write)?;
        archive.append(&header, bytes.as_ref()).map_err(ArchiveError::Write)?;
    }
    let mut out = archive.into_inner().map_err(ArchiveError::Write)?;
    out.flush().map_err(ArchiveError::Write)?;
    Ok(out)
}

/// Returns the header of a file. It contains no owner and no time.
pub(super) fn header(name: &str, size_bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(size_bytes);
    header.set_path(name)?;
    header.set_cksum();
    Ok(header)
}
