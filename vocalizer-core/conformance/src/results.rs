//! The suite for [`ResultWriter`] and [`ResultReader`], which are each other's inverse.

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use vocalizer_core::api::Provenance;
use vocalizer_core::part::{Format, Stem, StemFormats};
use vocalizer_core::ports::{
    Blob, BlobError, BlobKey, BlobStore, BlobStream, ResultReader, ResultWriter, StemFile, StemSet, Stems,
};

use crate::support::{hash, provenance, read};

/// A writer, a reader and an empty store for one test.
pub trait ResultsPlace: Send + Sync {
    /// Returns the writer.
    fn writer(&self) -> Arc<dyn ResultWriter>;

    /// Returns the reader, whose limits allow stems of 64 KiB.
    fn reader(&self) -> Arc<dyn ResultReader>;

    /// Returns the store that the reader writes to.
    fn blobs(&self) -> Arc<dyn BlobStore>;
}

fn stems(len: usize) -> Stems {
    let stem = |seed: u8| (0..len).map(|at| (at % 251) as u8 ^ seed).collect::<Bytes>();
    Stems { drums: stem(1), bass: stem(2), other: stem(3), vocals: stem(4) }
}

async fn archive(place: &impl ResultsPlace, stems: Stems) -> Bytes {
    read(place.writer().write(&stems).await.unwrap()).await.unwrap()
}

/// Streams bytes in pieces of this size.
fn pieces(bytes: &Bytes, size: usize) -> BlobStream {
    let pieces: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(pieces).boxed()
}

async fn assert_rejected(place: &impl ResultsPlace, archive: BlobStream) {
    assert!(place.reader().read(archive, place.blobs().as_ref()).await.is_err());
    for stem in Stem::FOUR {
        let key = BlobKey::Stem(hash("song"), stem);
        assert_eq!(place.blobs().size_bytes(&key).await.unwrap(), None, "nothing is stored");
    }
}

pub async fn archive_returns_all_stems(place: &impl ResultsPlace) {
    for (len, size) in [(1, 1), (1_000, 7), (60_000, 4_096), (60_000, 1 << 20)] {
        let archive = archive(place, stems(len)).await;
        let blobs = place.blobs();
        let received = place.reader().read(pieces(&archive, size), blobs.as_ref()).await.unwrap();
        assert_eq!((received.files.len(), received.provenance), (4, None), "{len} bytes");
        for StemFile { stem, format, writer } in received.files {
            assert_eq!(format, Format::Mp3);
            let key = BlobKey::Stem(hash(&format!("{len} in {size}")), stem);
            writer.commit(&key).await.unwrap();
            let stored = read(blobs.open(&key, None).await.unwrap().unwrap()).await.unwrap();
            let expected = read(stems(len).open(stem).await.unwrap()).await.unwrap();
            assert_eq!(stored, expected, "{stem} of {len} bytes");
        }
    }
}

/// Stems in these formats, each with other bytes, with a provenance.
struct Lossless(StemFormats);

#[async_trait]
impl StemSet for Lossless {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        self.open_as(stem, Format::Mp3).await
    }

    async fn open_as(&self, stem: Stem, format: Format) -> Result<Blob, BlobError> {
        Ok(Bytes::from(format!("{stem} as {format}").repeat(100)).into())
    }

    fn formats(&self) -> StemFormats {
        self.0
    }

    fn provenance(&self) -> Option<&Provenance> {
        static PROVENANCE: LazyLock<Provenance> = LazyLock::new(provenance);
        Some(&PROVENANCE)
    }
}

pub async fn archive_returns_all_formats_and_provenance(place: &impl ResultsPlace) {
    for (at, formats) in StemFormats::ALL.into_iter().enumerate() {
        let stems = Lossless(formats);
        let archive = read(place.writer().write(&stems).await.unwrap()).await.unwrap();
        let blobs = place.blobs();
        let received = place.reader().read(pieces(&archive, 700), blobs.as_ref()).await.unwrap();
        assert_eq!(received.provenance, Some(provenance()));
        let found: Vec<_> = received.files.iter().map(|file| (file.format, file.stem)).collect();
        assert_eq!(found.len(), 4 * formats.formats().len());
        for StemFile { stem, format, writer } in received.files {
            assert!(formats.has(format), "{format}");
            let key = BlobKey::Stem(hash(&format!("{at} {format}")), stem);
            writer.commit(&key).await.unwrap();
            let stored = read(blobs.open(&key, None).await.unwrap().unwrap()).await.unwrap();
            let expected = read(stems.open_as(stem, format).await.unwrap()).await.unwrap();
            assert_eq!(stored, expected, "{stem}.{format}");
        }
    }
}

pub async fn same_stems_give_same_archive(place: &impl ResultsPlace) {
    assert_eq!(archive(place, stems(1_000)).await, archive(place, stems(1_000)).await);
}

pub async fn incomplete_archive_is_rejected(place: &impl ResultsPlace) {
    let archive = archive(place, stems(1_000)).await;
    for len in [0, 1, archive.len() / 4, archive.len() / 2] {
        assert_rejected(place, pieces(&archive.slice(..len), 512)).await;
    }
}

pub async fn interrupted_archive_is_rejected(place: &impl ResultsPlace) {
    let archive = archive(place, stems(1_000)).await;
    let failure = || Err(BlobError::Unavailable("interrupted by the test".into()));
    let begun = stream::iter([Ok(archive.slice(..archive.len() / 2)), failure()]).boxed();
    assert_rejected(place, begun).await;
}

pub async fn garbage_is_rejected(place: &impl ResultsPlace) {
    for garbage in [&b"not an archive"[..], &[0; 4_096], &[0xff; 4_096]] {
        assert_rejected(place, pieces(&Bytes::copy_from_slice(garbage), 100)).await;
    }
}

pub async fn too_large_stem_is_rejected(place: &impl ResultsPlace) {
    let archive = archive(place, stems(100_000)).await;
    assert_rejected(place, pieces(&archive, 4_096)).await;
}

/// Stems of which one cannot be opened.
struct Broken;

#[async_trait]
impl StemSet for Broken {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        match stem {
            Stem::VOCALS => Err(BlobError::Unavailable("broken by the test".into())),
            _ => Ok(Bytes::from_static(b"a stem").into()),
        }
    }
}

pub async fn unreadable_stem_is_an_error(place: &impl ResultsPlace) {
    let written = match place.writer().write(&Broken).await {
        Ok(archive) => read(archive).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(written.is_err());
}
