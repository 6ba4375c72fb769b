//! Bounded reads at file offsets, for the checks before decoding, and the view of the file that the demuxer gets.
//!
//! A view consists of ranges of the file and of bytes in memory. It hides what a demuxer does not accept: bytes after
//! the end, a container around another format, a wrong header.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use super::error::DecodeError;

/// A file, or bytes in memory.
pub(super) trait Source: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> Source for T {}

/// A file and its length, read at absolute offsets of its view.
pub(super) struct InputFile {
    file: BufReader<View>,
    pos: u64,
}

impl InputFile {
    pub(super) fn new(file: Box<dyn Source>, len_bytes: u64) -> Self {
        let view = View { file, parts: vec![Part::File { from: 0, len: len_bytes }], pos: 0 };
        Self { file: BufReader::with_capacity(1 << 16, view), pos: u64::MAX }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.file.get_ref().len()
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
        let here = usize::try_from(self.len_bytes().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut buf = vec![0; len.min(here)];
        let got = self.read_at(offset, &mut buf)?;
        buf.truncate(got);
        Ok(buf)
    }

    /// Shortens the view to the bytes from `from` to `to`.
    pub(super) fn narrow(&mut self, from: u64, to: u64) {
        let parts = self.file.get_ref().range(from, to);
        self.present(parts);
    }

    /// Replaces the bytes at `offset` by as many others.
    pub(super) fn replace(&mut self, offset: u64, bytes: Vec<u8>) {
        let view = self.file.get_ref();
        let end = offset.saturating_add(bytes.len() as u64);
        let parts = [view.range(0, offset), vec![Part::Bytes(bytes)], view.range(end, view.len())].concat();
        self.present(parts);
    }

    /// Puts bytes in front of the view.
    pub(super) fn prepend(&mut self, bytes: Vec<u8>) {
        let view = self.file.get_ref();
        let parts = [vec![Part::Bytes(bytes)], view.range(0, view.len())].concat();
        self.present(parts);
    }

    /// Puts bytes behind the view.
    pub(super) fn append(&mut self, bytes: Vec<u8>) {
        let view = self.file.get_ref();
        let parts = [view.range(0, view.len()), vec![Part::Bytes(bytes)]].concat();
        self.present(parts);
    }

    /// Returns the view for the demuxer, from its first byte.
    pub(super) fn rewound(self) -> Result<Box<dyn MediaSource>, DecodeError> {
        let mut view = self.file.into_inner();
        view.pos = 0;
        Ok(Box::new(view))
    }

    fn present(&mut self, parts: Vec<Part>) {
        // The next read seeks to an absolute offset, which discards the buffer.
        self.file.get_mut().parts = parts;
        self.pos = u64::MAX;
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DecodeError> {
        if offset >= self.len_bytes() {
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

/// A piece of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    File { from: u64, len: u64 },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }
}

/// The parts in a row, as one source that tells its length.
struct View {
    file: Box<dyn Source>,
    parts: Vec<Part>,
    pos: u64,
}

impl View {
    fn len(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.len()))
    }

    /// Returns the part at `pos`, and the offset of `pos` in it.
    fn part_at(&self, pos: u64) -> Option<(&Part, u64)> {
        let mut inside = pos;
        for part in &self.parts {
            if inside < part.len() {
                return Some((part, inside));
            }
            inside -= part.len();
        }
        None
    }

    /// Returns the parts from `from` to `to`.
    fn range(&self, from: u64, to: u64) -> Vec<Part> {
        let mut start = 0_u64;
        let mut parts = Vec::new();
        for part in &self.parts {
            let (low, high) = (from.max(start) - start, to.min(start + part.len()).saturating_sub(start));
            if low < high {
                parts.push(match part {
                    // Both are at most the length of the bytes, so they fit.
                    Part::Bytes(bytes) => {
                        let (low, high) = (usize::try_from(low).unwrap_or(0), usize::try_from(high).unwrap_or(0));
                        Part::Bytes(bytes.get(low..high).unwrap_or_default().to_vec())
                    }
                    Part::File { from, .. } => Part::File { from: from + low, len: high - low },
                });
            }
            start += part.len();
        }
        parts
    }
}

impl Read for View {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = match self.part_at(self.pos) {
            None => 0,
            Some((Part::Bytes(bytes), inside)) => {
                let rest = bytes.get(usize::try_from(inside).unwrap_or(usize::MAX)..).unwrap_or_default();
                let got = rest.len().min(buf.len());
                buf[..got].copy_from_slice(&rest[..got]);
                got
            }
            Some((&Part::File { from, len }, inside)) => {
                let wanted = usize::try_from(len - inside).unwrap_or(usize::MAX).min(buf.len());
                self.file.seek(SeekFrom::Start(from + inside))?;
                self.file.read(&mut buf[..wanted])?
            }
        };
        self.pos += got as u64;
        Ok(got)
    }
}

impl Seek for View {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, hop) = match to {
            SeekFrom::Start(pos) => (pos, 0),
            SeekFrom::End(hop) => (self.len(), hop),
            SeekFrom::Current(hop) => (self.pos, hop),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the start");
        self.pos = base.checked_add_signed(hop).ok_or_else(before)?;
        Ok(self.pos)
    }
}

impl MediaSource for View {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> InputFile {
        InputFile::new(Box::new(io::Cursor::new(b"0123456789".to_vec())), 10)
    }

    fn all(mut file: InputFile) -> Vec<u8> {
        let peeked = file.bytes(0, 100).expect("the bytes");
        let mut read = Vec::new();
        file.rewound().expect("a source").read_to_end(&mut read).expect("the bytes");
        assert_eq!(peeked, read);
        read
    }

    #[test]
    fn views_are_composed() {
        let mut narrowed = file();
        assert_eq!(narrowed.peek::<2>(4).expect("two bytes"), (*b"45", 2));
        narrowed.narrow(2, 8);
        assert_eq!(narrowed.peek::<2>(4).expect("two bytes"), (*b"67", 2));
        narrowed.replace(1, b"ab".to_vec());
        narrowed.prepend(b"<<".to_vec());
        narrowed.append(b">".to_vec());
        narrowed.narrow(1, 8);
        assert_eq!(narrowed.len_bytes(), 7);
        assert_eq!(all(narrowed), b"<2ab567");
    }

    #[test]
    fn ranges_outside_the_file_are_empty() {
        let mut narrowed = file();
        narrowed.narrow(8, 40);
        assert_eq!(all(narrowed), b"89");
        let mut narrowed = file();
        narrowed.narrow(20, 40);
        assert_eq!(narrowed.len_bytes(), 0);
        assert_eq!(all(narrowed), b"");
    }

    #[test]
    fn seeks_are_relative_to_the_view() {
        let mut narrowed = file();
        narrowed.narrow(3, 7);
        let mut source = narrowed.rewound().expect("a source");
        assert_eq!(source.byte_len(), Some(4));
        assert_eq!(source.seek(SeekFrom::End(-1)).expect("a position"), 3);
        let mut last = Vec::new();
        source.read_to_end(&mut last).expect("a byte");
        assert_eq!(last, b"6");
        assert!(source.seek(SeekFrom::Current(-5)).is_err());
    }
}
