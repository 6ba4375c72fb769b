//! Helpers for blobs and work folders.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use vocalizer_core::ports::{Blob, BlobError};
use vocalizer_model::audio::{AudioFormat, Frame};

use crate::audio::support::{dir, read, write};

/// Encodes frames in one of our formats as a blob.
pub(crate) fn blob(format: AudioFormat, rate_hz: u32, frames: &[Frame]) -> Blob {
    Blob::from(file(format, rate_hz, frames))
}

pub(crate) fn file(format: AudioFormat, rate_hz: u32, frames: &[Frame]) -> Bytes {
    let dir = dir();
    let path = dir.path().join("song");
    write(&path, format, rate_hz, frames);
    std::fs::read(path).expect("the file").into()
}

/// Decodes a blob and returns its sample rate and frames.
pub(crate) async fn decode(mut blob: Blob) -> (u32, Vec<Frame>) {
    let bytes = bytes_of(&mut blob).await;
    let dir = dir();
    let path = dir.path().join("song");
    std::fs::write(&path, bytes).expect("a written file");
    let (info, frames) = read(&path);
    (info.rate_hz, frames)
}

pub(crate) async fn bytes_of(blob: &mut Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.next_chunk().await.expect("a chunk") {
        assert!(!chunk.is_empty(), "an empty chunk");
        bytes.extend(chunk);
    }
    assert!(blob.next_chunk().await.expect("the end").is_none(), "a read after the end returns no chunk");
    assert_eq!(bytes.len() as u64, blob.size_bytes());
    bytes
}

/// A file as a blob that is never fully in memory.
pub(crate) fn on_disk(path: &Path) -> Blob {
    let file = Arc::new(File::open(path).expect("the file"));
    let size_bytes = file.metadata().expect("a file").len();
    Blob::in_pieces(size_bytes, "", move |piece| {
        let file = Arc::clone(&file);
        async move {
            let (mut file, mut bytes) =
                (&*file, vec![0; usize::try_from(piece.end - piece.start).expect("a small piece")]);
            let read = file.seek(SeekFrom::Start(piece.start)).and_then(|_| file.read_exact(&mut bytes));
            read.map(|()| bytes.into()).map_err(|e| BlobError::Unavailable(e.into()))
        }
    })
}

/// A blob that fails after its first bytes or, with `hangs`, never continues.
pub(crate) fn stuck(first: &'static str, hangs: bool) -> Blob {
    let first = stream::iter([Ok(first.into())]);
    let rest = if hangs {
        stream::pending().boxed()
    } else {
        stream::iter([Err(BlobError::Unavailable("the store is unavailable".into()))]).boxed()
    };
    Blob::new(1 << 20, "", first.chain(rest))
}

/// Number of files and folders in a folder, recursively.
pub(crate) fn entries(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.filter_map(Result::ok).map(|e| 1 + entries_of(&e)).sum()
}

fn entries_of(entry: &std::fs::DirEntry) -> usize {
    if entry.file_type().is_ok_and(|kind| kind.is_dir()) { entries(&entry.path()) } else { 0 }
}

/// Waits up to 5 s for a condition.
pub(crate) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(5), "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
