//! Bounded reads at file offsets, for the checks before decoding.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use super::error::DecodeError;

/// A file, or bytes in memory.
pub(super) trait Source: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> Source for T {}

/// A file and its length, read at absolute offsets.
pub(super) struct InputFile {
    file: BufReader<Box<dyn Source>>,
    pos: u64,
    len_bytes: u64,
}

impl InputFile {
    pub(super) fn new(file: Box<dyn Source>, len_bytes: u64) -> Self {
        Self { file: BufReader::with_capacity(1 << 16, file), pos: u64::MAX, len_bytes }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Reads up to `N` bytes at `offset`. Returns them, padded with zeros, and the number of bytes read.
    pub(super) fn peek<const N: usize>(&mut self, offset: u64) -> Result<([u8; N], usize), DecodeError> {
        let mut buf = [0; N];
        let got = self.read_at(offset, &mut buf)?;
        Ok((buf, got))
    }

    /// Reads exactly `N` bytes at `offset`, or fails with [`DecodeError::Truncated`].
    pub(super) fn take<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], DecodeError> {
        match self.peek::<N>(offset)? {
            (buf, got) if got == N => Ok(buf),
            _ => Err(DecodeError::Truncated("the file ends inside its header".into())),
        }
    }

    /// Reads `len` bytes at `offset`, fewer at the end of the file. The caller bounds `len`.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, DecodeError> {
        let here = usize::try_from(self.len_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut buf = vec![0; len.min(here)];
        let got = self.read_at(offset, &mut buf)?;
        buf.truncate(got);
        Ok(buf)
    }

    /// Returns the file for the demuxer, from its first byte.
    pub(super) fn rewound(self) -> Result<Box<dyn MediaSource>, DecodeError> {
        let mut file = self.file.into_inner();
        file.seek(SeekFrom::Start(0)).map_err(DecodeError::read)?;
        Ok(Box::new(SizedSource { file, len_bytes: self.len_bytes }))
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DecodeError> {
        if offset >= self.len_bytes {
            return Ok(0);
        }
        // A relative seek keeps the buffer, so walking the frame headers of an MP3 needs few system calls.
        match i64::try_from(i128::from(offset) - i128::from(self.pos)) {
            Ok(hop) if self.pos != u64::MAX => self.file.seek_relative(hop).map_err(DecodeError::read)?,
            _ => {
                self.file.seek(SeekFrom::Start(offset)).map_err(DecodeError::read)?;
            }
        }
        self.pos = offset;
        let mut got = 0;
        while let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) => break,
                Ok(n) => {
                    got += n;
                    self.pos += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(DecodeError::read(e)),
            }
        }
        Ok(got)
    }
}

/// A source that tells its length.
struct SizedSource {
    file: Box<dyn Source>,
    len_bytes: u64,
}

impl Read for SizedSource {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Seek for SizedSource {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl MediaSource for SizedSource {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len_bytes)
    }
}
