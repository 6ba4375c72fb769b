//! Streaming stems into an archive.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use vocalizer_core::causes::chain;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobStream, ResultWriter, StemSet};

use super::read::{BLOCK_BYTES, padding};
use super::write::header;
use super::{ArchiveError, Flaw, ORDER, TarResults, file_name};

/// The end marker of a tar.
static END: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

#[async_trait]
impl ResultWriter for TarResults {
    async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError> {
        let (mut pieces, mut size_bytes) = (Vec::new(), END.len() as u64);
        for stem in ORDER {
            let blob = stems.open(stem).await?;
            let stem_bytes = blob.size_bytes();
            // Readers reject it, so fail before sending anything.
            if stem_bytes == 0 {
                return Err(unavailable(ArchiveError::Malformed(Flaw::Empty { stem })));
            }
            let name = file_name(stem).ok_or_else(|| unavailable(ArchiveError::Malformed(Flaw::Missing { stem })))?;
            let header = header(name, stem_bytes).map_err(|error| unavailable(ArchiveError::Write(error)))?;
            let padding = &END[..padding(stem_bytes)];
            size_bytes += (BLOCK_BYTES + padding.len()) as u64 + stem_bytes;
            pieces.push(ready(Bytes::copy_from_slice(header.as_bytes())));
            pieces.push(blob.map_err(move |error| unreadable(stem, &error)).boxed());
            pieces.push(ready(Bytes::from_static(padding)));
        }
        pieces.push(ready(Bytes::from_static(&END)));
        Ok(Blob::new(size_bytes, "", stream::iter(pieces).flatten()))
    }
}

fn ready(bytes: Bytes) -> BlobStream {
    stream::iter([Ok(bytes)]).boxed()
}

fn unavailable(error: ArchiveError) -> BlobError {
    BlobError::Unavailable(error.into())
}

fn unreadable(stem: Stem, error: &BlobError) -> BlobError {
    BlobError::Unavailable(format!("reading the {stem} stem failed: {}", chain(error)).into())
}
