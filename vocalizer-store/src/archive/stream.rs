//! Stems to archive, made while it is read.

use std::collections::VecDeque;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{BlobError, BlobReader, ResultWriter, StemSet};

use super::write::header;
use super::{ArchiveError, Flaw, ORDER, TarResults, file_name};

/// What everything in a tar is filled up to.
const BLOCK_BYTES: u64 = 512;

/// The mark that ends a tar.
const END_BYTES: u64 = 2 * BLOCK_BYTES;

static ZEROS: [u8; 1024] = [0; 1024];

#[async_trait]
impl ResultWriter for TarResults {
    async fn write(&self, stems: &dyn StemSet) -> Result<Box<dyn BlobReader>, BlobError> {
        let (mut pieces, mut size_bytes) = (VecDeque::new(), END_BYTES);
        for stem in ORDER {
            let reader = stems.open(stem).await?;
            let stem_bytes = reader.size_bytes();
            // No reader would take it; better said before anything is sent.
            if stem_bytes == 0 {
                return Err(unavailable(ArchiveError::Malformed(Flaw::Empty { stem })));
            }
            let name = file_name(stem).ok_or_else(|| unavailable(ArchiveError::Malformed(Flaw::Missing { stem })))?;
            let header = header(name, stem_bytes).map_err(|error| unavailable(ArchiveError::Write(error)))?;
            let padding_bytes = stem_bytes.next_multiple_of(BLOCK_BYTES) - stem_bytes;
            size_bytes += BLOCK_BYTES + stem_bytes + padding_bytes;
            pieces.push_back(Piece::Ready(Bytes::copy_from_slice(header.as_bytes())));
            pieces.push_back(Piece::Stem { stem, reader, left_bytes: stem_bytes });
            pieces.push_back(zeros(padding_bytes));
        }
        pieces.push_back(zeros(END_BYTES));
        Ok(Box::new(Archive { size_bytes, pieces }))
    }
}

fn unavailable(error: ArchiveError) -> BlobError {
    BlobError::Unavailable(error.into())
}

/// So many zeros, at most as many as end an archive.
fn zeros(len: u64) -> Piece {
    let len = usize::try_from(len).map_or(ZEROS.len(), |len| len.min(ZEROS.len()));
    Piece::Ready(Bytes::from_static(&ZEROS[..len]))
}

/// An archive that is not there yet.
struct Archive {
    size_bytes: u64,
    pieces: VecDeque<Piece>,
}

/// What comes next in it.
enum Piece {
    Ready(Bytes),
    Stem { stem: Stem, reader: Box<dyn BlobReader>, left_bytes: u64 },
}

#[async_trait]
impl BlobReader for Archive {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            // Looked at where it is and taken out when it is done with: a dropped call must find it again.
            let next = match self.pieces.front_mut() {
                None => return Ok(None),
                Some(Piece::Ready(bytes)) => Some(std::mem::take(bytes)),
                Some(Piece::Stem { stem, reader, left_bytes }) => {
                    let chunk = reader.next_chunk().await?;
                    let len = chunk.as_ref().map_or(0, Bytes::len) as u64;
                    // The header has gone out, and says how many there are.
                    let as_said = if chunk.is_none() { *left_bytes == 0 } else { len <= *left_bytes };
                    if !as_said {
                        let what = format!("the {stem} stem is not as long as it was said to be");
                        let error = io::Error::new(io::ErrorKind::InvalidData, what);
                        return Err(unavailable(ArchiveError::Write(error)));
                    }
                    *left_bytes -= len;
                    if chunk.is_some() {
                        return Ok(chunk);
                    }
                    None
                }
            };
            self.pieces.pop_front();
            if let Some(bytes) = next.filter(|bytes| !bytes.is_empty()) {
                return Ok(Some(bytes));
            }
        }
    }
}
