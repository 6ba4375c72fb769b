//! Checks for stores with local files, which uploads need.

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use super::place::{BlobsPlace, bytes, read};
use crate::support::hash;
use vocalizer_core::ports::BlobKey;

pub async fn local_file_has_bytes_written_so_far(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let mut writer = blobs.begin().await.unwrap();
    let whole = bytes(1_000_003, 4);
    let mut written = 0;
    for len in [0, 1, 70_000, 600_000, 330_002] {
        writer.write(whole.slice(written..written + len)).await.unwrap();
        written += len;
        let file = writer.local_file().await.unwrap();
        assert_eq!(std::fs::read(file).unwrap(), whole[..written]);
    }
    let key = BlobKey::Source(hash("a"));
    assert_eq!(writer.commit(&key).await.unwrap(), 1_000_003);
    assert_eq!(read(&blobs, &key).await, Some(whole));
}

pub async fn local_file_exists_as_long_as_writer(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes(1_000, 1)).await.unwrap();
    let file = writer.local_file().await.unwrap();
    blobs.sweep().await.unwrap();
    assert!(file.exists(), "the file was deleted before its writer");
    writer.commit(&BlobKey::Source(hash("a"))).await.unwrap();
    assert!(!file.exists());
}
