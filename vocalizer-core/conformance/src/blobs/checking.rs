//! Checks for the reader of a blob that is being written.

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::io::SeekFrom;

use super::place::{BlobsPlace, bytes, read};
use crate::support::hash;
use vocalizer_core::ports::{BlobKey, BlobWriter, LocalRead};

async fn reader(writer: &mut dyn BlobWriter) -> Box<dyn LocalRead> {
    writer.reader().await.unwrap()
}

fn read_to_end(reader: &mut dyn LocalRead) -> Vec<u8> {
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    all
}

pub async fn reader_has_bytes_written_so_far(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let mut writer = blobs.begin().await.unwrap();
    let whole = bytes(1_000_003, 4);
    let mut written = 0;
    for len in [0, 1, 70_000, 600_000, 330_002] {
        writer.write(whole.slice(written..written + len)).await.unwrap();
        written += len;
        let mut reader = reader(writer.as_mut()).await;
        assert_eq!(read_to_end(reader.as_mut()), whole[..written]);
        // A reader has its own position.
        reader.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(read_to_end(reader.as_mut()), whole[..written]);
    }
    let key = BlobKey::Source(hash("a"));
    assert_eq!(writer.commit(&key).await.unwrap(), 1_000_003);
    assert_eq!(read(&blobs, &key).await, Some(whole));
}

pub async fn reader_survives_sweep(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let mut writer = blobs.begin().await.unwrap();
    let whole = bytes(1_000, 1);
    writer.write(whole.clone()).await.unwrap();
    let mut early = reader(writer.as_mut()).await;
    blobs.sweep().await.unwrap();
    assert_eq!(read_to_end(early.as_mut()), whole);
    assert_eq!(read_to_end(reader(writer.as_mut()).await.as_mut()), whole);
}
