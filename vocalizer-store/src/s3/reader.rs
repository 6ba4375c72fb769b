//! An object as a blob.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, try_unfold};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use vocalizer_core::ports::{Blob, BlobError};

use super::answer::sorted;
use super::bucket::Bucket;

/// How often in a row an answer may break off before any byte has come.
const TRIES: u32 = 4;

type Answer = BoxStream<'static, object_store::Result<Bytes>>;

/// Reads an answer to its end, and asks for the rest where it breaks off: a listener who pauses for longer than the
/// bucket likes finds the connection closed.
pub(super) fn blob(bucket: Arc<Bucket>, path: Path, found: GetResult) -> Result<Blob, BlobError> {
    let left = found.range.clone();
    let Some(e_tag) = found.meta.e_tag.clone() else {
        return Err(BlobError::Unavailable("the bucket tells no ETag".into()));
    };
    let (size_bytes, tag) = (left.end.saturating_sub(left.start), tag(&e_tag));
    let object = Object { bucket, path, e_tag };
    let reading = Reading { object, left, answer: Some(found.into_stream()), failures: 0 };
    let chunks = try_unfold(reading, async |mut reading: Reading| {
        let chunk = reading.next().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    });
    Ok(Blob::new(size_bytes, tag, chunks))
}

/// Certain bytes under a path, and none that may come there later.
struct Object {
    bucket: Arc<Bucket>,
    path: Path,
    e_tag: String,
}

struct Reading {
    object: Object,
    /// What is still to come.
    left: Range<u64>,
    /// `None` where the last answer broke off.
    answer: Option<Answer>,
    /// How often it broke off since the last byte.
    failures: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        while self.left.start < self.left.end {
            let answer = match &mut self.answer {
                Some(answer) => answer,
                None => self.answer.insert(self.object.read(self.left.clone()).await?),
            };
            match answer.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    self.left.start = self.left.start.saturating_add(bytes.len() as u64);
                    self.failures = 0;
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => self.broke(sorted(&error))?,
                None => self.broke(BlobError::Unavailable("the blob ended too early".into()))?,
            }
        }
        Ok(None)
    }

    /// Takes note that an answer broke off, and fails if that was too often.
    fn broke(&mut self, error: BlobError) -> Result<(), BlobError> {
        self.answer = None;
        self.failures += 1;
        if self.failures < TRIES { Ok(()) } else { Err(error) }
    }
}

impl Object {
    async fn read(&self, left: Range<u64>) -> Result<Answer, BlobError> {
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
