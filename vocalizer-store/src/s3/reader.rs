//! Reading an object as a blob.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, try_unfold};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _};
use vocalizer_core::ports::{Blob, BlobError};

use super::bucket::Bucket;
use super::parsed_error::blob_error;

/// Maximum number of consecutive responses without any bytes.
const MAX_FAILURES: u32 = 4;

type Response = BoxStream<'static, object_store::Result<Bytes>>;

/// Reads a response, and requests the rest if it breaks off: the bucket closes the connection of a client that pauses
/// for long.
pub(super) fn blob(bucket: Arc<Bucket>, path: Path, found: GetResult) -> Result<Blob, BlobError> {
    let left = found.range.clone();
    let Some(e_tag) = found.meta.e_tag.clone() else {
        return Err(BlobError::Unavailable("the bucket returned no ETag".into()));
    };
    let (size_bytes, tag) = (left.end.saturating_sub(left.start), tag(&e_tag));
    let object = Object { bucket, path, e_tag };
    let reading = Reading { object, left, response: Some(found.into_stream()), failures: 0 };
    let chunks = try_unfold(reading, async |mut reading: Reading| {
        let chunk = reading.next().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    });
    Ok(Blob::new(size_bytes, tag, chunks))
}

/// A version of an object, identified by its ETag.
struct Object {
    bucket: Arc<Bucket>,
    path: Path,
    e_tag: String,
}

struct Reading {
    object: Object,
    /// The remaining range.
    left: Range<u64>,
    /// `None` if the last response broke off.
    response: Option<Response>,
    /// Failures since the last byte.
    failures: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        while self.left.start < self.left.end {
            let response = match &mut self.response {
                Some(response) => response,
                None => self.response.insert(self.object.read(self.left.clone()).await?),
            };
            match response.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    self.left.start = self.left.start.saturating_add(bytes.len() as u64);
                    self.failures = 0;
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => self.record_failure(blob_error(&error))?,
                None => self.record_failure(BlobError::Unavailable("the blob ended early".into()))?,
            }
        }
        Ok(None)
    }

    /// Records that a response broke off, and fails after too many.
    fn record_failure(&mut self, error: BlobError) -> Result<(), BlobError> {
        self.response = None;
        self.failures += 1;
        if self.failures < MAX_FAILURES { Ok(()) } else { Err(error) }
    }
}

impl Object {
    async fn read(&self, left: Range<u64>) -> Result<Response, BlobError> {
        let options = GetOptions {
            if_match: Some(self.e_tag.clone()),
            range: Some(GetRange::Bounded(left.clone())),
            ..GetOptions::default()
        };
        let found = self.bucket.s3.get_opts(&self.path, options).await.map_err(|error| blob_error(&error))?;
        // Some servers ignore `If-Match`.
        if found.meta.e_tag.as_ref() != Some(&self.e_tag) || found.range != left {
            return Err(BlobError::Unavailable("the blob was replaced while it was read".into()));
        }
        Ok(found.into_stream())
    }
}

/// Converts an `ETag` to the port's character set. Those of S3 are quoted digits and dashes, and stay the same without
/// quotes.
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
