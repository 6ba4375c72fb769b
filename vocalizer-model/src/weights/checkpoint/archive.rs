//! The zip archive of a checkpoint: the places of its entries.

use std::collections::HashMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;

use crate::weights::WeightsError;
use crate::weights::error::excerpt;

/// The largest published checkpoint has 13,600 entries.
const MAX_ENTRIES: usize = 200_000;

/// Bound on what is read of the archive's headers, and so on the memory for them.
const MAX_HEADER_BYTES: usize = 32 << 20;

/// Where an entry's bytes are in the file, and their checksum.
#[derive(Debug)]
struct Entry {
    range: Range<usize>,
    crc32: u32,
}

/// The entries of an archive by their names below its only folder.
pub(super) struct Archive<'a> {
    file: &'a [u8],
    entries: HashMap<String, Entry>,
}

impl<'a> Archive<'a> {
    /// Reads the archive's headers.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the file is not a whole zip archive, or has entries of one name, in several folders or
    /// that overlap; [`WeightsError::Unsupported`] if an entry is compressed or encrypted, or if there are too many.
    pub(super) fn open(file: &'a [u8]) -> Result<Self, WeightsError> {
        let reader = Bounded { inner: Cursor::new(file), left: MAX_HEADER_BYTES };
        let mut zip =
            ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, reader).map_err(broken)?;
        if zip.len() > MAX_ENTRIES {
            return Err(WeightsError::Unsupported(format!("{} entries, at most {MAX_ENTRIES} are read", zip.len())));
        }
        if zip.has_duplicate_names() {
            return Err(WeightsError::Malformed("two entries of the archive have the same name".into()));
        }
        let mut folder = None;
        let mut entries = HashMap::with_capacity(zip.len());
        let mut claimed: usize = 0;
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).map_err(broken)?;
            let full = std::str::from_utf8(entry.name_raw())
                .map_err(|_| WeightsError::Malformed("an entry's name is not UTF-8".into()))?;
            let outside =
                || WeightsError::Malformed(format!("the entry {} is not in the archive's folder", excerpt(full)));
            let (root, name) = full.split_once('/').ok_or_else(outside)?;
            if *folder.get_or_insert_with(|| root.to_owned()) != root {
                return Err(outside());
            }
            if entry.encrypted() || entry.compression() != zip::CompressionMethod::Stored {
                let how = if entry.encrypted() {
                    "encrypted".into()
                } else {
                    format!("compressed ({})", entry.compression())
                };
                return Err(WeightsError::Unsupported(format!(
                    "the entry {} is {how}; torch.save stores entries as they are",
                    excerpt(full)
                )));
            }
            let range = entry.data_start().and_then(|start| Some(start..start.checked_add(entry.size())?));
            let range = range.and_then(|r| Some(usize::try_from(r.start).ok()?..usize::try_from(r.end).ok()?));
            let range = range.filter(|range| range.end <= file.len() && entry.size() == entry.compressed_size());
            let range = range.ok_or_else(|| {
                let (name, size, held) = (excerpt(full), entry.size(), file.len());
                WeightsError::Malformed(format!(
                    "the entry {name} claims {size} bytes, but the file of {held} bytes ends before"
                ))
            })?;
            claimed = claimed.saturating_add(range.len());
            entries.insert(name.to_owned(), Entry { range, crc32: entry.crc32() });
        }
        // Else a small file could cost the reading of much data.
        if claimed > file.len() {
            let what = format!("the entries claim {claimed} bytes in all, but the file has {}", file.len());
            return Err(WeightsError::Malformed(what));
        }
        Ok(Self { file, entries })
    }

    /// Returns the size of an entry in bytes.
    pub(super) fn size_bytes(&self, name: &str) -> Option<usize> {
        self.entries.get(name).map(|entry| entry.range.len())
    }

    /// Returns where an entry's bytes are in the file, after comparing them with their checksum.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if there is no such entry or its bytes have changed.
    pub(super) fn range(&self, name: &str) -> Result<Range<usize>, WeightsError> {
        let lacks = || WeightsError::Malformed(format!("the archive lacks the entry {}", excerpt(name)));
        let entry = self.entries.get(name).ok_or_else(lacks)?;
        let bytes = self.file.get(entry.range.clone()).ok_or_else(lacks)?;
        // PyTorch writes 0 if its option to compute checksums is off.
        if entry.crc32 != 0 && crc32fast::hash(bytes) != entry.crc32 {
            let what = format!("the entry {} does not match its checksum: the file is damaged", excerpt(name));
            return Err(WeightsError::Malformed(what));
        }
        Ok(entry.range.clone())
    }

    /// Returns an entry's bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub(super) fn bytes(&self, name: &str) -> Result<&'a [u8], WeightsError> {
        Ok(self.file.get(self.range(name)?).unwrap_or_default())
    }
}

fn broken(error: ZipError) -> WeightsError {
    match error {
        ZipError::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
            WeightsError::Unsupported(error.to_string())
        }
        error => WeightsError::Malformed(format!(
            "not a whole zip archive, as torch.save writes it ({}); the file may be cut",
            excerpt(&error.to_string())
        )),
    }
}

/// A reader of at most `left` bytes in all.
struct Bounded<'a> {
    inner: Cursor<&'a [u8]>,
    left: usize,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read).ok_or_else(|| {
            let what = format!("an archive with more than {MAX_HEADER_BYTES} bytes of headers");
            io::Error::new(io::ErrorKind::QuotaExceeded, what)
        })?;
        Ok(read)
    }
}

impl Seek for Bounded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
