//! Archives that are made while they are read.

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

/// Stems that come in small pieces, and may be shorter or longer than they say.
struct Pieces {
    stems: Stems,
    piece_bytes: usize,
    /// How much more or less than there is the blobs promise.
    lie: i64,
    given_bytes: Arc<AtomicUsize>,
}

impl Pieces {
    fn of(stems: Stems, piece_bytes: usize) -> Self {
        Self { stems, piece_bytes, lie: 0, given_bytes: Arc::default() }
    }
}

#[async_trait]
impl StemSet for Pieces {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        let bytes = self.stems.get(Part::try_from(stem).unwrap()).unwrap();
        let pieces: Vec<_> = bytes.chunks(self.piece_bytes).map(|piece| bytes.slice_ref(piece)).collect();
        let given_bytes = Arc::clone(&self.given_bytes);
        let pieces = stream::iter(pieces).map(move |piece| {
            given_bytes.fetch_add(piece.len(), Ordering::Relaxed);
            Ok(piece)
        });
        Ok(Blob::new((bytes.len() as u64).saturating_add_signed(self.lie), "", pieces))
    }
}

async fn all(mut archive: Blob) -> Result<Vec<u8>, BlobError> {
    let mut all = Vec::new();
    while let Some(chunk) = archive.next_chunk().await? {
        assert!(!chunk.is_empty());
        all.extend_from_slice(&chunk);
    }
    assert!(archive.next_chunk().await?.is_none(), "the end stays the end");
    Ok(all)
}

#[tokio::test]
async fn it_has_the_bytes_of_the_archive_that_is_written_at_once() {
    let whole = archive::write(&stems(), Vec::new()).unwrap();
    for piece_bytes in [1, 511, 512, 513, 4096] {
        let archive = results().write(&Pieces::of(stems(), piece_bytes)).await.unwrap();
        assert_eq!(archive.size_bytes(), whole.len() as u64);
        assert_eq!(all(archive).await.unwrap(), whole, "in pieces of {piece_bytes}");
    }
    assert_eq!(all(results().write(&stems()).await.unwrap()).await.unwrap(), whole, "and again from others");
}

proptest! {
    #[test]
    fn whatever_the_stems_are_it_has_the_bytes_of_the_archive_that_is_written_at_once(
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
async fn no_more_of_the_stems_is_read_than_was_asked_for() {
    let stems = Pieces::of(stems(), 100);
    let mut archive = results().write(&stems).await.unwrap();
    assert_eq!(stems.given_bytes.load(Ordering::Relaxed), 0);
    for given_bytes in [0, 100, 200] {
        archive.next_chunk().await.unwrap().unwrap();
        assert_eq!(stems.given_bytes.load(Ordering::Relaxed), given_bytes);
    }
}

#[tokio::test]
async fn a_stem_that_is_not_as_long_as_it_said_breaks_the_archive() {
    for lie in [-1, 1] {
        let stems = Stems { other: Bytes::from_static(b"longer than a byte"), ..stems() };
        let archive = results().write(&Pieces { lie, ..Pieces::of(stems, 100) }).await.unwrap();
        let error = all(archive).await.unwrap_err();
        let said = vocalizer_core::causes::chain(&error);
        assert!(said.contains("bass") && said.contains("than its declared size"), "{said}");
    }
}

#[tokio::test]
async fn an_empty_stem_is_refused_before_anything_is_made() {
    let stems = Stems { vocals: Bytes::new(), ..stems() };
    let error = results().write(&stems).await.err().unwrap();
    let said = vocalizer_core::causes::chain(&error);
    assert!(matches!(error, BlobError::Unavailable(_)) && said.contains("vocals is empty"), "{said}");
}

#[tokio::test]
async fn a_stem_that_cannot_be_opened_is_told() {
    struct Away;
    #[async_trait]
    impl StemSet for Away {
        async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
            Err(BlobError::Full)
        }
    }
    assert!(matches!(results().write(&Away).await, Err(BlobError::Full)));
}
