//! For stores whose writers can be looked into, which is every one that takes uploads.

#![expect(missing_docs, reason = "each is named for the promise that it holds the store to")]

use super::place::{BlobsPlace, bytes, get};
use crate::conformance::support::hash;
use crate::ports::BlobKey;

pub async fn a_local_file_has_what_was_written_so_far(place: &impl BlobsPlace) {
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
    assert_eq!(get(&blobs, &key).await, Some(whole));
}

pub async fn a_local_file_goes_with_its_writer(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes(1_000, 1)).await.unwrap();
    let file = writer.local_file().await.unwrap();
    blobs.sweep().await.unwrap();
    assert!(file.exists(), "it is there as long as the writer");
    writer.commit(&BlobKey::Source(hash("a"))).await.unwrap();
    assert!(!file.exists());
}
