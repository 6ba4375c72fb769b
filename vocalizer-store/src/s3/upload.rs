//! Uploading a file as a blob.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, PutMultipartOptions, PutOptions, PutPayload,
};
use vocalizer_core::ports::{BlobError, BlobKey};
use vocalizer_core::song::{SongHash, SongHasher};

use super::bucket::Bucket;
use super::parsed_error::blob_error;
use crate::files::disk::{BLOCK_BYTES, blocking};

/// Part size. Smaller blobs are uploaded in one request.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Maximum number of parts of a blob.
const MAX_PARTS: u64 = 10_000;

/// Maximum number of parts of a blob in memory.
const MAX_HELD: usize = 2;

/// The metadata with the hash of a source's bytes.
const DIGEST: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("sha256"));

/// Whether to trust an existing object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// Its size and digest are trusted.
    Trusted,
    /// Its bytes may differ from its digest.
    Untrusted,
}

/// Uploads a file under a key. Until it completes, the previous object stays visible.
pub(super) async fn upload(
    bucket: &Bucket,
    file: Arc<File>,
    size_bytes: u64,
    key: &BlobKey,
    existing: Existing,
) -> Result<(), BlobError> {
    let path = bucket.path(key);
    let mut attributes = Attributes::new();
    if let BlobKey::Source(_) = key {
        let read = Arc::clone(&file);
        let digest = blocking(move || digest(&read)).await?.to_string();
        // The stored bytes decide, not the key: a wrong blob under the right key is replaced.
        let there = if existing == Existing::Trusted { bucket.head(&path).await? } else { None };
        if there.is_some_and(|there| {
            there.meta.size == size_bytes && there.attributes.get(&DIGEST).is_some_and(|found| **found == digest)
        }) {
            return Ok(());
        }
        attributes.insert(DIGEST, digest.into());
    }
    if size_bytes <= PART_BYTES {
        let bytes = blocking(move || part(&file, 0, size_bytes)).await?;
        let options = PutOptions { attributes, ..PutOptions::default() };
        let put = bucket.s3.put_opts(&path, PutPayload::from_bytes(bytes), options).await;
        return put.map(|_| ()).map_err(|error| blob_error(&error));
    }
    in_parts(bucket, &path, &file, size_bytes, attributes).await
}

async fn in_parts(
    bucket: &Bucket,
    path: &Path,
    file: &Arc<File>,
    size_bytes: u64,
    attributes: Attributes,
) -> Result<(), BlobError> {
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let begun = bucket.s3.put_multipart_opts(path, options).await;
    let mut upload = begun.map_err(|error| blob_error(&error))?;
    let mut done = send(&mut *upload, file, size_bytes).await;
    if done.is_ok() {
        done = upload.complete().await.map(|_| ()).map_err(|error| blob_error(&error));
    }
    if done.is_err() {
        // If this fails too, the bucket's lifecycle rule removes the parts.
        let _ = upload.abort().await;
    }
    done
}

/// Sends the parts, up to [`MAX_HELD`] in parallel. Fails on the first error.
async fn send(upload: &mut dyn MultipartUpload, file: &Arc<File>, size_bytes: u64) -> Result<(), BlobError> {
    let part_bytes = PART_BYTES.max(size_bytes.div_ceil(MAX_PARTS));
    let mut sending = FuturesUnordered::new();
    let mut at = 0;
    while at < size_bytes {
        while sending.len() >= MAX_HELD {
            check_part(sending.next().await)?;
        }
        let (file, len) = (Arc::clone(file), part_bytes.min(size_bytes - at));
        let bytes = blocking(move || part(&file, at, len)).await?;
        sending.push(upload.put_part(PutPayload::from_bytes(bytes)));
        at += len;
    }
    while !sending.is_empty() {
        check_part(sending.next().await)?;
    }
    Ok(())
}

fn check_part(sent: Option<object_store::Result<()>>) -> Result<(), BlobError> {
    sent.transpose().map(|_| ()).map_err(|error| blob_error(&error))
}

/// Reads a part of a file completely, or fails.
fn part(mut file: &File, at: u64, len: u64) -> io::Result<Bytes> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
    file.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != len {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated"));
    }
    Ok(bytes.into())
}

fn digest(mut file: &File) -> io::Result<SongHash> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = SongHasher::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&block[..read]),
        }
    }
}
