//! Archive to blobs, as it comes in.

use std::io::{self, Read};

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use vocalizer_core::limits::Limits;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{BlobError, BlobReader, BlobStore, BoxError, Received, ResultError, ResultReader};

use super::{ArchiveError, read};

/// Chunks that wait between the connection, the archive and the blobs.
const WAITING_CHUNKS: usize = 4;

/// Largest piece of a stem that is passed on.
const PIECE_BYTES: usize = 64 * 1024;

/// Result archives as core knows them: read by [`read`] and its rules, written with the bytes of [`write`](super::write),
/// both in memory that does not grow with them.
#[derive(Debug, Clone)]
pub struct TarResults {
    limits: Limits,
}

impl TarResults {
    /// Stems may be as large as `limits` say.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

#[async_trait]
impl ResultReader for TarResults {
    async fn read(&self, archive: Box<dyn BlobReader>, blobs: &dyn BlobStore) -> Result<Received, ResultError> {
        let (chunks, incoming) = channel(WAITING_CHUNKS);
        let (pieces, outgoing) = channel(WAITING_CHUNKS);
        let limits = self.limits;
        // Whichever of the three ends early lets go of its channels, and so ends the others.
        let reading = spawn_blocking(move || {
            read(Incoming { chunks: incoming, chunk: Bytes::new() }, &limits, |stem, _, bytes| {
                pass(stem, bytes, &pieces)
            })
        });
        let ((), received) = tokio::join!(feed(archive, chunks), store(outgoing, blobs));
        let read = reading.await.map_err(|error| ResultError::Interrupted(error.into()))?;
        let received = received?;
        read.map(|()| received).map_err(refused)
    }
}

fn refused(error: ArchiveError) -> ResultError {
    match error {
        ArchiveError::Limit { max_bytes, .. } => ResultError::Limit { what: error.to_string(), max_bytes },
        ArchiveError::Malformed(flaw) => ResultError::Malformed { what: flaw.to_string() },
        ArchiveError::Read(error) | ArchiveError::Write(error) => ResultError::Interrupted(unwrapped(error)),
    }
}

/// The very error that the reader of the body gave, which whoever answers its sender knows by its type.
fn unwrapped(error: io::Error) -> BoxError {
    match error.downcast::<BlobError>() {
        Ok(BlobError::Unavailable(source)) => source,
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}

/// Gives the archive to whom reads it, until one of both ends.
async fn feed(mut archive: Box<dyn BlobReader>, chunks: Sender<io::Result<Bytes>>) {
    loop {
        let chunk = tokio::select! {
            chunk = archive.next_chunk() => chunk.map_err(io::Error::other).transpose(),
            // Refused: the rest may take its time, and nobody waits for it.
            () = chunks.closed() => return,
        };
        let Some(chunk) = chunk else { return };
        let failed = chunk.is_err();
        if chunks.send(chunk).await.is_err() || failed {
            return;
        }
    }
}

/// What the archive is read from.
struct Incoming {
    chunks: Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Ok(0),
            }
        }
        let len = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}

/// A piece of a stem.
type Piece = (Stem, Bytes);

/// Passes a stem on, piece by piece.
fn pass(stem: Stem, bytes: &mut dyn Read, pieces: &Sender<Piece>) -> io::Result<()> {
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        bytes.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        pieces.blocking_send((stem, piece.into())).map_err(|_| io::ErrorKind::BrokenPipe)?;
    }
}

/// Writes the pieces of each stem to a blob of its own.
async fn store(mut pieces: Receiver<Piece>, blobs: &dyn BlobStore) -> Result<Received, BlobError> {
    let mut received = Received::new();
    while let Some((stem, piece)) = pieces.recv().await {
        if received.last().is_none_or(|&(last, _)| last != stem) {
            received.push((stem, blobs.begin().await?));
        }
        if let Some((_, writer)) = received.last_mut() {
            writer.write(piece).await?;
        }
    }
    Ok(received)
}
