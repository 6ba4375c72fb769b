//! Streaming stems into an archive.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use vocalizer_core::causes::chain;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobStream, ResultWriter, StemSet};

use super::read::{BLOCK_BYTES, padding};
use super::write::header;
use super::{ArchiveError, Flaw, ORDER, PROVENANCE, TarResults, file_name};

/// The end marker of a tar.
static END: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

#[async_trait]
impl ResultWriter for TarResults {
    async fn write(&self, stems: &dyn StemSet) -> Result<Blob, BlobError> {
        let mut archive = Pieces::default();
        if let Some(provenance) = stems.provenance() {
            let json = serde_json::to_vec(provenance).map_err(|error| BlobError::Unavailable(error.into()))?;
            archive.add(PROVENANCE, json.len() as u64, ready(json.into()))?;
        }
        let formats = stems.formats().formats();
        let mut names = stems.stems();
        names.sort_by_key(|stem| (ORDER.iter().position(|four| four == stem).unwrap_or(ORDER.len()), *stem));
        // Collected, because a closure with borrowed stems cannot be held across an await.
        let files: Vec<_> = formats.iter().flat_map(|&format| names.iter().map(move |&stem| (format, stem))).collect();
        for (format, stem) in files {
            let blob = stems.open_as(stem, format).await?;
            // Readers reject it, so fail before sending anything.
            if blob.size_bytes() == 0 {
                return Err(unavailable(ArchiveError::Malformed(Flaw::Empty { stem })));
            }
            let size_bytes = blob.size_bytes();
            archive.add(
                &file_name(stem, format),
                size_bytes,
                blob.map_err(move |error| unreadable(stem, &error)).boxed(),
            )?;
        }
        Ok(archive.finish())
    }
}

/// The pieces of an archive, in order.
#[derive(Default)]
struct Pieces {
    pieces: Vec<BlobStream>,
    size_bytes: u64,
}

impl Pieces {
    fn add(&mut self, name: &str, size_bytes: u64, content: BlobStream) -> Result<(), BlobError> {
        let header = header(name, size_bytes).map_err(|error| unavailable(ArchiveError::Write(error)))?;
        let padding = &END[..padding(size_bytes)];
        self.size_bytes += (BLOCK_BYTES + padding.len()) as u64 + size_bytes;
        let header = ready(Bytes::copy_from_slice(header.as_bytes()));
        self.pieces.extend([header, content, ready(Bytes::from_static(padding))]);
        Ok(())
    }

    fn finish(mut self) -> Blob {
        self.pieces.push(ready(Bytes::from_static(&END)));
        Blob::new(self.size_bytes + END.len() as u64, "", stream::iter(self.pieces).flatten())
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
