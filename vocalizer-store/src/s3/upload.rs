//! How a file becomes a blob.

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

use super::answer::sorted;
use super::bucket::Bucket;
use crate::files::disk::{BLOCK_BYTES, blocking};

/// Up to here a blob goes up in one request, and in parts of this above.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Most parts that a blob may have.
const MAX_PARTS: u64 = 10_000;

/// Most parts of a blob that are in memory at a time.
const MAX_HELD: usize = 2;

/// What a source carries along: the hash of its bytes.
const DIGEST: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("sha256"));

/// What is said of the object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Its size and its digest are believed.
    Believed,
    /// Its bytes may be others than it says.
    Doubted,
}

/// Puts what is in a file under a key. Until the end there is what was there before, or nothing.
pub(super) async fn upload(
    bucket: &Bucket,
    file: Arc<File>,
    size_bytes: u64,
    key: &BlobKey,
    known: Known,
) -> Result<(), BlobError> {
    let path = bucket.path(key);
    let mut attributes = Attributes::new();
    if let BlobKey::Source(_) = key {
        let read = Arc::clone(&file);
        let digest = blocking(move || digest(&read)).await?.to_string();
        // The bytes that are there decide, and not the key: a wrong blob under the right key is replaced.
        let there = if known == Known::Believed { bucket.head(&path).await? } else { None };
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
        return put.map(|_| ()).map_err(|error| sorted(&error));
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
    let mut upload = begun.map_err(|error| sorted(&error))?;
    let mut done = send(&mut *upload, file, size_bytes).await;
    if done.is_ok() {
        done = upload.complete().await.map(|_| ()).map_err(|error| sorted(&error));
    }
    if done.is_err() {
        // What is left where this fails too is for the bucket's own rule.
        let _ = upload.abort().await;
    }
    done
}

/// Sends the parts, so many at a time; one that fails ends all.
async fn send(upload: &mut dyn MultipartUpload, file: &Arc<File>, size_bytes: u64) -> Result<(), BlobError> {
    let part_bytes = PART_BYTES.max(size_bytes.div_ceil(MAX_PARTS));
    let mut sending = FuturesUnordered::new();
    let mut at = 0;
    while at < size_bytes {
        while sending.len() >= MAX_HELD {
            settled(sending.next().await)?;
        }
        let (file, len) = (Arc::clone(file), part_bytes.min(size_bytes - at));
        let bytes = blocking(move || part(&file, at, len)).await?;
        sending.push(upload.put_part(PutPayload::from_bytes(bytes)));
        at += len;
    }
    while !sending.is_empty() {
        settled(sending.next().await)?;
    }
    Ok(())
}

fn settled(sent: Option<object_store::Result<()>>) -> Result<(), BlobError> {
    sent.transpose().map(|_| ()).map_err(|error| sorted(&error))
}

/// Some bytes of a file, all of them or an error.
fn part(mut file: &File, at: u64, len: u64) -> io::Result<Bytes> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
    file.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != len {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
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
