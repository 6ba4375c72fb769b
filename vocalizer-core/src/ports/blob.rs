//! Blobs as byte streams.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _, once, try_unfold};

use super::BlobError;
use crate::song::{SongHash, SongHasher};

/// A stream of byte chunks.
pub type BlobStream = BoxStream<'static, Result<Bytes, BlobError>>;

/// The largest range that [`Blob::in_pieces`] reads at a time.
const PIECE_BYTES: u64 = 128 * 1024;

/// A blob being read: its size, its tag and a stream of its bytes.
///
/// The stream yields exactly [`Blob::size_bytes`] bytes in non-empty chunks, or an error. After an error every further
/// call returns an error. Dropping a call for a chunk loses no bytes.
///
/// ```
/// use bytes::Bytes;
/// use vocalizer_core::ports::Blob;
///
/// # futures_util::FutureExt::now_or_never(async {
/// let mut blob = Blob::from(Bytes::from_static(b"RIFF"));
/// assert_eq!(blob.size_bytes(), 4);
/// assert_eq!(blob.next_chunk().await?.as_deref(), Some(&b"RIFF"[..]));
/// assert_eq!(blob.next_chunk().await?, None);
/// # Ok::<_, vocalizer_core::ports::BlobError>(())
/// # }).unwrap().unwrap();
/// ```
pub struct Blob {
    size_bytes: u64,
    tag: String,
    left_bytes: u64,
    state: State,
}

enum State {
    Reading(BlobStream),
    Ended,
    Failed,
}

impl Blob {
    /// Creates a blob of this size whose bytes come from `bytes`.
    ///
    /// `tag` is the blob's `ETag`, which changes whenever the bytes under its key change. It consists of letters,
    /// digits, `-` and `.`, and is empty for bytes without a key.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use futures_util::stream;
    /// use vocalizer_core::ports::Blob;
    ///
    /// let chunks = stream::iter([Ok(Bytes::from_static(b"RI")), Ok(Bytes::from_static(b"FF"))]);
    /// let blob = Blob::new(4, "v1", chunks);
    /// assert_eq!((blob.size_bytes(), blob.tag()), (4, "v1"));
    /// ```
    pub fn new(
        size_bytes: u64,
        tag: impl Into<String>,
        bytes: impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
    ) -> Self {
        Self { size_bytes, tag: tag.into(), left_bytes: size_bytes, state: State::Reading(bytes.boxed()) }
    }

    /// Creates a blob of this size that is read range by range. `read` gets the next range when its bytes are needed.
    /// It returns the first bytes of that range, not necessarily all, or none at the end.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use vocalizer_core::ports::{Blob, BlobError};
    /// # futures_util::FutureExt::now_or_never(async {
    /// let object = Bytes::from_static(b"RIFF....WAVE");
    /// let mut blob = Blob::in_pieces(12, "v1", move |range| {
    ///     // A real store sends a request for this range.
    ///     let piece = object.slice(range.start as usize..range.end as usize);
    ///     async { Ok(piece) }
    /// });
    /// assert_eq!(blob.next_chunk().await?.map(|piece| piece.len()), Some(12));
    /// # Ok::<_, BlobError>(())
    /// # }).unwrap().unwrap();
    /// ```
    pub fn in_pieces<F, R>(size_bytes: u64, tag: impl Into<String>, read: F) -> Self
    where
        F: Fn(Range<u64>) -> R + Send + 'static,
        R: Future<Output = Result<Bytes, BlobError>> + Send + 'static,
    {
        let pieces = try_unfold((0, read), move |(start, read)| async move {
            let end = size_bytes.min(start + PIECE_BYTES);
            if start == end {
                return Ok(None);
            }
            let bytes = read(start..end).await?;
            let next = start + bytes.len() as u64;
            Ok((next > start).then_some((bytes, (next, read))))
        });
        Self::new(size_bytes, tag, pieces)
    }

    /// Returns the same bytes, ending in [`BlobError::Damaged`] if they do not match this hash.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use futures_util::TryStreamExt as _;
    /// # use vocalizer_core::{ports::{Blob, BlobError}, song::SongHash};
    /// # futures_util::FutureExt::now_or_never(async {
    /// let damaged = Blob::from(Bytes::from_static(b"other bytes")).of_song(SongHash::of(b"the song"));
    /// let read = damaged.try_collect::<Vec<_>>().await;
    /// assert!(matches!(read, Err(BlobError::Damaged)));
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn of_song(self, hash: SongHash) -> Self {
        let (size_bytes, tag) = (self.size_bytes, self.tag.clone());
        let checked = try_unfold((self, SongHasher::new()), move |(mut blob, mut hasher)| async move {
            match blob.next_chunk().await? {
                Some(chunk) => {
                    hasher.update(&chunk);
                    Ok(Some((chunk, (blob, hasher))))
                }
                None if hasher.finish() != hash => Err(BlobError::Damaged),
                None => Ok(None),
            }
        });
        Self::new(size_bytes, tag, checked)
    }

    /// Returns the total number of bytes: the size of the blob, or of the requested range.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the blob's `ETag`; see [`Blob::new`].
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns the next chunk, never empty; `None` at the end and on every call after it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// Those of the stream, and [`BlobError::Unavailable`] if it yields more or fewer bytes than [`Blob::size_bytes`].
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BlobError>> {
        let stream = match &mut self.state {
            State::Reading(stream) => stream,
            State::Ended => return Poll::Ready(Ok(None)),
            State::Failed => return Poll::Ready(Err(failed("an earlier read failed"))),
        };
        loop {
            match ready!(stream.as_mut().poll_next(cx)).transpose()? {
                Some(chunk) if chunk.is_empty() => {}
                Some(chunk) => {
                    let left_bytes = self.left_bytes.checked_sub(chunk.len() as u64);
                    self.left_bytes = left_bytes.ok_or_else(|| failed("the blob is longer than its declared size"))?;
                    return Poll::Ready(Ok(Some(chunk)));
                }
                None if self.left_bytes > 0 => {
                    return Poll::Ready(Err(failed("the blob is shorter than its declared size")));
                }
                None => {
                    self.state = State::Ended;
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }
}

fn failed(why: &'static str) -> BlobError {
    BlobError::Unavailable(why.into())
}

/// Yields the chunks of [`Blob::next_chunk`].
impl Stream for Blob {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(self.poll_state(cx));
        if chunk.is_err() {
            self.state = State::Failed;
        }
        Poll::Ready(chunk.transpose())
    }
}

/// Creates a blob from bytes in memory.
impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes.len() as u64, "", once(async { Ok(bytes) }))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("size_bytes", &self.size_bytes).field("tag", &self.tag).finish_non_exhaustive()
    }
}
