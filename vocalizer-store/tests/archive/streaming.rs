//! Archives streamed while they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use proptest::prelude::*;
use vocalizer_core::limits::Limits;
use vocalizer_core::part::{Part, Stem};
use vocalizer_core::ports::{Blob, BlobError, ResultWriter, StemSet, Stems};
use vocalizer_store::archive::{self, TarResults};

use super::support::stems;

fn results() -> TarResults {
    TarResults::new(Limits::for_testing())
}

/// Stems that arrive in small chunks, and may be shorter or longer than announced.
struct Pieces {
    stems: Stems,
    piece_bytes: usize,
    /// Difference between the announced and the actual size.
    size_error: i64,
    given_bytes: Arc<AtomicUsize>,
}

impl Pieces {
    fn of(stems: Stems, piece_bytes: usize) -> Self {
        Self { stems, piece_bytes, size_error: 0, given_bytes: Arc::default() }
    }
}

#[async_trait]
impl StemSet for Pieces {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let bytes = self.stems.get(Part::Stem(stem)).unwrap();
        let pieces: Vec<_> = bytes.chunks(self.piece_bytes).map(|piece| bytes.slice_ref(piece)).collect();
        let given_bytes = Arc::clone(&self.given_bytes);
        let pieces = stream::iter(pieces).map(move |piece| {
            given_bytes.fetch_add(piece.len(), Ordering::Relaxed);
            Ok(piece)
        });
        Ok(Blob::new((bytes.len() as u64).saturating_add_signed(self.size_error), "", pieces))
    }
}

async fn all(mut archive: Blob) -> Result<Vec<u8>, BlobError> {
    let mut all = Vec::new();
    while let Some(chunk) = archive.next_chunk().await? {
        assert!(!chunk.is_empty());
        all.extend_from_slice(&chunk);
    }
    assert!(archive.next_chunk().await?.is_none(), "the end must be final");
    Ok(all)
}

#[tokio::test]
async fn streamed_archive_equals_written_archive() {
    let whole = archive::write(&stems(), Vec::new()).unwrap();
    for piece_bytes in [1, 511, 512, 513, 4096] {
        let archive = results().write(&Pieces::of(stems(), piece_bytes)).await.unwrap();
        assert_eq!(archive.size_bytes(), whole.len() as u64);
        assert_eq!(all(archive).await.unwrap(), whole, "chunks of {piece_bytes} bytes");
    }
    assert_eq!(all(results().write(&stems()).await.unwrap()).await.unwrap(), whole, "from other chunks");
}

proptest! {
    #[test]
    fn streamed_archive_equals_written_archive_for_any_sizes(
        lens in prop::array::uniform4(1_usize..3000),
        piece_bytes in 1_usize..2000,
    ) {
        let [drums, bass, other, vocals] = lens.map(|len| Bytes::from(vec![u8::try_from(len % 251).unwrap(); len]));
        let stems = Stems { drums, bass, other, vocals };
        let whole = archive::write(&stems, Vec::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let archive = results().write(&Pieces::of(stems, piece_bytes)).await.unwrap();
            assert_eq!(archive.size_bytes(), whole.len() as u64);
            assert_eq!(all(archive).await.unwrap(), whole);
        });
    }
}

#[tokio::test]
async fn stems_are_read_on_demand() {
    let stems = Pieces::of(stems(), 100);
    let mut archive = results().write(&stems).await.unwrap();
    assert_eq!(stems.given_bytes.load(Ordering::Relaxed), 0);
    for given_bytes in [0, 100, 200] {
        archive.next_chunk().await.unwrap().unwrap();
        assert_eq!(stems.given_bytes.load(Ordering::Relaxed), given_bytes);
    }
}

#[tokio::test]
async fn stem_with_wrong_announced_size_fails_the_archive() {
    for size_error in [-1, 1] {
        let stems = Stems { other: Bytes::from_static(b"longer than a byte"), ..stems() };
        let archive = results().write(&Pieces { size_error, ..Pieces::of(stems, 100) }).await.unwrap();
        let error = all(archive).await.unwrap_err();
        let message = vocalizer_core::causes::chain(&error);
        assert!(message.contains("bass") && message.contains("than its declared size"), "{message}");
    }
}

#[tokio::test]
async fn empty_stem_is_rejected_before_streaming() {
    let stems = Stems { vocals: Bytes::new(), ..stems() };
    let error = results().write(&stems).await.err().unwrap();
    let message = vocalizer_core::causes::chain(&error);
    assert!(matches!(error, BlobError::Unavailable(_)) && message.contains("vocals is empty"), "{message}");
}

#[tokio::test]
async fn stem_open_error_is_returned() {
    struct Unopenable;
    #[async_trait]
    impl StemSet for Unopenable {
        async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
            Err(BlobError::Full)
        }
    }
    assert!(matches!(results().write(&Unopenable).await, Err(BlobError::Full)));
}
