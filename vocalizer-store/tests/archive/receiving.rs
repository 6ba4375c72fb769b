//! Archives received over a connection.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tar::EntryType;
use tempfile::TempDir;
use time::OffsetDateTime;
use vocalizer_core::limits::Limits;
use vocalizer_core::part::{Part, Stem};
use vocalizer_core::ports::{
    Blob, BlobError, BlobKey, BlobStore, BlobStream, BlobWriter, LocalRead, MadeBlob, Received, ResultError,
    ResultReader as _, StemFile, Stems,
};
use vocalizer_core::song::SongHash;
use vocalizer_store::archive::{self, TarResults};
use vocalizer_store::files::FileBlobs;

use super::support::{NAMES, entry, finished, four, stems};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a connection does after its last chunk.
#[derive(Clone, Copy)]
enum End {
    Closes,
    Breaks,
    Stalls,
}

fn connection(tar: &[u8], chunk_bytes: usize, end: End) -> BlobStream {
    let chunks: Vec<_> = tar.chunks(chunk_bytes).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let chunks = stream::iter(chunks);
    match end {
        End::Closes => chunks.boxed(),
        End::Breaks => {
            let broken = Err(BlobError::Unavailable("connection reset".into()));
            chunks.chain(stream::iter([broken])).boxed()
        }
        End::Stalls => chunks.chain(stream::pending()).boxed(),
    }
}

async fn receive(connection: BlobStream, blobs: &dyn BlobStore) -> Result<Received, ResultError> {
    let results = TarResults::new(Limits::for_testing());
    tokio::time::timeout(PATIENCE, results.read(connection, blobs)).await.expect("reading hangs")
}

/// Returns the error, after checking that no temporary files are left.
async fn rejected(connection: BlobStream) -> ResultError {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let error = receive(connection, &blobs).await.err().expect("the archive was accepted");
    for _ in 0..1_000 {
        if std::fs::read_dir(root.path().join("tmp")).unwrap().count() == 0 {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("temporary files are left");
}

async fn stored(received: Received, blobs: &FileBlobs) -> Vec<(Stem, Bytes)> {
    let hash = SongHash::of(b"a");
    let mut stored = Vec::new();
    for StemFile { stem, writer, .. } in received.files {
        let key = BlobKey::Stem(hash, stem);
        writer.commit(&key).await.unwrap();
        let mut reader = blobs.open(&key, None).await.unwrap().unwrap();
        let mut whole = Vec::new();
        while let Some(chunk) = reader.next_chunk().await.unwrap() {
            whole.extend_from_slice(&chunk);
        }
        stored.push((stem, whole.into()));
    }
    stored
}

fn expected(stems: &Stems) -> Vec<(Stem, Bytes)> {
    let of = |stem| (stem, stems.get(Part::Stem(stem)).unwrap().clone());
    [Stem::BASS, Stem::DRUMS, Stem::OTHER, Stem::VOCALS].map(of).to_vec()
}

#[tokio::test]
async fn stems_are_received_unchanged_for_any_chunk_size() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let large = Stems { drums: vec![7; 1_500_000].into(), ..stems() };
    for stems in [stems(), large] {
        let tar = archive::write(&stems, Vec::new()).unwrap();
        for chunk_bytes in [511, 4_096, 1_000_000, tar.len()] {
            let received = receive(connection(&tar, chunk_bytes, End::Closes), &blobs).await.unwrap();
            assert!(blobs.hashes().await.unwrap().is_empty(), "no blob may be visible yet");
            assert_eq!(stored(received, &blobs).await, expected(&stems), "chunks of {chunk_bytes} bytes");
            blobs.delete_all(&SongHash::of(b"a")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn malformed_archive_is_rejected_without_leftovers() {
    let mut twice = four();
    twice.push(entry(NAMES[1], EntryType::Regular, b"again"));
    for tar in [Vec::new(), finished(&[]), four()[..3].concat(), finished(&twice), vec![b'x'; 4_000]] {
        let error = rejected(connection(&tar, 512, End::Closes)).await;
        assert!(matches!(error, ResultError::Malformed { .. }), "{error:?}");
    }
    let cut = finished(&four());
    let error = rejected(connection(&cut[..700], 512, End::Closes)).await;
    assert_eq!(
        error.to_string(),
        "the result is not a tar with stems, all as .mp3, all as .flac or all as both: it is truncated"
    );
}

#[tokio::test]
async fn stem_over_the_limit_is_rejected_by_its_header() {
    let max_bytes = Limits::for_testing().max_stem_bytes;
    let claims = super::support::entry_claiming(NAMES[2], EntryType::Regular, max_bytes + 1, b"little");
    let error =
        rejected(connection(&[&four()[..2].concat(), &claims].map(Vec::as_slice).concat(), 512, End::Stalls)).await;
    let ResultError::Limit { what, max_bytes: reported } = error else { panic!("{error:?}") };
    assert_eq!(reported, max_bytes);
    assert!(what.contains("other") && what.contains(&max_bytes.to_string()), "{what}");
}

#[tokio::test]
async fn broken_connection_is_reported_as_interrupted() {
    let tar = finished(&four());
    for len in [0, 100, 512, 700, tar.len()] {
        let error = rejected(connection(&tar[..len], 512, End::Breaks)).await;
        assert!(matches!(error, ResultError::Interrupted(_)), "after {len}: {error:?}");
    }
}

#[tokio::test]
async fn rejection_does_not_wait_for_the_rest() {
    let error = rejected(connection(&[b'x'; 2_000], 512, End::Stalls)).await;
    assert!(matches!(error, ResultError::Malformed { .. }), "{error:?}");
}

#[test]
fn stalled_archives_block_no_thread() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let whole = runtime.block_on(async {
        let root = TempDir::new().unwrap();
        let blobs = FileBlobs::open(root.path()).await.unwrap();
        let tar = archive::write(&Stems { bass: vec![1; 1_000_000].into(), ..stems() }, Vec::new()).unwrap();
        let (results, slow) = (TarResults::new(Limits::for_testing()), &tar[..900_000]);
        let stalled = async {
            let stalled = [(); 3].map(|()| results.read(connection(slow, 4_096, End::Stalls), &blobs));
            futures_util::future::join_all(stalled).await
        };
        let whole = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            receive(connection(&tar, 4_096, End::Closes), &blobs).await
        };
        tokio::select! {
            _ = stalled => panic!("a stalled archive ended"),
            whole = whole => whole.is_ok(),
        }
    });
    runtime.shutdown_background();
    assert!(whole);
}

/// A fake store with this much room, or one whose writes never complete.
struct Small {
    room_bytes: Option<usize>,
}

struct SmallWriter(Option<usize>);

#[async_trait]
impl BlobStore for Small {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(SmallWriter(self.room_bytes)))
    }

    async fn open(&self, _: &BlobKey, _: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        Ok(None)
    }

    async fn size_bytes(&self, _: &BlobKey) -> Result<Option<u64>, BlobError> {
        Ok(None)
    }

    async fn delete_all(&self, _: &SongHash) -> Result<(), BlobError> {
        Ok(())
    }

    async fn delete(&self, _: &BlobKey) -> Result<(), BlobError> {
        Ok(())
    }

    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        Ok(Vec::new())
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        Ok(Vec::new())
    }

    async fn last_written(&self, _: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        Ok(None)
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        Ok(0)
    }
}

#[async_trait]
impl BlobWriter for SmallWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        let Some(room_bytes) = self.0 else { return std::future::pending().await };
        self.0 = Some(room_bytes.checked_sub(bytes.len()).ok_or(BlobError::Full)?);
        Ok(())
    }

    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        Err(BlobError::Full)
    }

    async fn commit(self: Box<Self>, _: &BlobKey) -> Result<u64, BlobError> {
        Err(BlobError::Full)
    }
}

#[tokio::test]
async fn full_store_ends_the_reading() {
    let tar = archive::write(&Stems { bass: vec![1; 1_000_000].into(), ..stems() }, Vec::new()).unwrap();
    let small = Small { room_bytes: Some(300_000) };
    let error = receive(connection(&tar, 4_096, End::Stalls), &small).await.err().unwrap();
    assert!(matches!(error, ResultError::Blobs(BlobError::Full)), "{error:?}");
}

#[tokio::test]
async fn slow_store_applies_backpressure_to_the_connection() {
    let tar = archive::write(&Stems { bass: vec![1; 2_000_000].into(), ..stems() }, Vec::new()).unwrap();
    let given_bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&given_bytes);
    let connection = connection(&tar, 4_096, End::Closes).inspect_ok(move |chunk| {
        counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    });
    let results = TarResults::new(Limits::for_testing());
    let slow = Small { room_bytes: None };
    let read = results.read(connection.boxed(), &slow);
    assert!(tokio::time::timeout(Duration::from_millis(500), read).await.is_err());
    let taken_bytes = given_bytes.load(Ordering::Relaxed);
    assert!(taken_bytes < 1_000_000, "{taken_bytes} bytes are in memory");
}

#[tokio::test]
async fn stems_of_other_models_are_received_whole() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let of = |names: &[&str]| names.iter().map(|name| entry(name, EntryType::Regular, b"x")).collect::<Vec<_>>();
    let two = finished(&of(&["vocals.mp3", "instrumental.mp3", "vocals.flac", "instrumental.flac"]));
    let received = receive(connection(&two, 100, End::Closes), &blobs).await.unwrap();
    let mut names: Vec<_> = received.files.iter().map(|file| format!("{}.{}", file.stem, file.format)).collect();
    names.sort_unstable();
    assert_eq!(names, ["instrumental.flac", "instrumental.mp3", "vocals.flac", "vocals.mp3"]);
    // Without the marker it is not known whether stems are missing.
    for cut in [of(&["vocals.mp3", "instrumental.mp3"]).concat(), of(&["vocals.mp3"]).concat()] {
        assert!(matches!(rejected(connection(&cut, 100, End::Closes)).await, ResultError::Malformed { .. }));
    }
    let unequal = finished(&of(&["vocals.mp3", "instrumental.mp3", "vocals.flac"]));
    let many: Vec<_> = (0..70).map(|number| format!("stem-{number}.mp3")).collect();
    let many = finished(&of(&many.iter().map(String::as_str).collect::<Vec<_>>()));
    for tar in [unequal, many, finished(&of(&["song.mp3"])), finished(&of(&["Vocals.mp3"]))] {
        assert!(matches!(rejected(connection(&tar, 4_096, End::Closes)).await, ResultError::Malformed { .. }));
    }
}
