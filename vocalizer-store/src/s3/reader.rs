//! A blob on its way out.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use vocalizer_core::ports::{BlobError, BlobReader};

use super::answer::sorted;
use super::bucket::Bucket;

/// How often in a row an answer may break off before any byte has come.
const TRIES: u32 = 4;

/// Reads an answer to its end, and asks for the rest where it breaks off: a listener who pauses for longer than the
/// bucket likes finds the connection closed.
pub(super) struct S3Reader {
    blob: Blob,
    size_bytes: u64,
    /// What is still to come.
    left: Range<u64>,
    state: State,
    /// How often it broke off since the last byte.
    failures: u32,
}

type Answer = BoxStream<'static, object_store::Result<Bytes>>;

enum State {
    Reading(Answer),
    /// It broke off, and the rest is to be asked for.
    Broken,
    /// There is nothing to go on with.
    Failed,
}

/// Certain bytes under a path, and none that may come there later.
struct Blob {
    bucket: Arc<Bucket>,
    path: Path,
    e_tag: String,
}

impl S3Reader {
    pub(super) fn new(bucket: Arc<Bucket>, path: Path, found: GetResult) -> Result<Self, BlobError> {
        let left = found.range.clone();
        let Some(e_tag) = found.meta.e_tag.clone() else {
            return Err(BlobError::Unavailable("the bucket tells no ETag".into()));
        };
        let blob = Blob { bucket, path, e_tag };
        let size_bytes = left.end.saturating_sub(left.start);
        Ok(Self { blob, size_bytes, left, state: State::Reading(found.into_stream()), failures: 0 })
    }

    /// Takes note that an answer broke off, and says so where that was too often.
    fn broke(&mut self, error: BlobError) -> Result<(), BlobError> {
        self.failures += 1;
        if self.failures < TRIES {
            self.state = State::Broken;
            return Ok(());
        }
        self.state = State::Failed;
        Err(error)
    }
}

impl Blob {
    async fn from(&self, left: Range<u64>) -> Result<Answer, BlobError> {
        let options = GetOptions {
            if_match: Some(self.e_tag.clone()),
            range: Some(GetRange::Bounded(left.clone())),
            ..GetOptions::default()
        };
        let found = self.bucket.s3.get_opts(&self.path, options).await.map_err(|error| sorted(&error))?;
        // Not every server heeds `If-Match`.
        if found.meta.e_tag.as_ref() != Some(&self.e_tag) || found.range != left {
            return Err(BlobError::Unavailable("the blob was replaced".into()));
        }
        Ok(found.into_stream())
    }
}

#[async_trait]
impl BlobReader for S3Reader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn tag(&self) -> String {
        tag(&self.blob.e_tag)
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        while self.left.start < self.left.end {
            let read = match &mut self.state {
                State::Reading(answer) => answer.next().await,
                State::Broken => {
                    let rest = self.blob.from(self.left.clone()).await;
                    // Where that fails it was repeated already, and there is nothing to go on with.
                    self.state = State::Failed;
                    self.state = State::Reading(rest?);
                    continue;
                }
                State::Failed => return Err(BlobError::Unavailable("reading failed before".into())),
            };
            match read {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) if bytes.len() as u64 <= self.left.end - self.left.start => {
                    self.left.start += bytes.len() as u64;
                    self.failures = 0;
                    return Ok(Some(bytes));
                }
                Some(Ok(_)) => {
                    self.state = State::Failed;
                    return Err(BlobError::Unavailable("more bytes came than were said to come".into()));
                }
                Some(Err(error)) => self.broke(sorted(&error))?,
                None => self.broke(BlobError::Unavailable("the blob ended too early".into()))?,
            }
        }
        Ok(None)
    }
}

/// An `ETag` in the letters that the port has. Those of S3 are digits and a dash between quotes, and come as they are.
fn tag(e_tag: &str) -> String {
    let bare = e_tag.trim_matches('"');
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !bare.is_empty() && !bare.starts_with("x.") && bare.bytes().all(is_legal) {
        return bare.to_owned();
    }
    bare.bytes().fold("x.".to_owned(), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    })
}
