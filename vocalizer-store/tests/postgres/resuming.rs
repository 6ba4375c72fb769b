//! A resumable upload through several servers with PostgreSQL and S3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vocalizer_core::account::Viewer;
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::IdleQueue;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::{PIECE_BYTES, SongService, SongSettings};

use super::support::TestDatabase;
use crate::s3::server::Server;

const MIB: usize = 1024 * 1024;

async fn service(database: &TestDatabase, s3: &Server) -> SongService {
    let store = Arc::new(database.open().await);
    let limits = Limits { max_upload_bytes: 64 * MIB as u64, ..Limits::default() };
    let settings = SongSettings { limits, min_free_bytes: Some(0), ..SongSettings::default() };
    SongService::builder(
        Arc::clone(&store) as _,
        Arc::new(s3.blobs(Duration::from_secs(10)).await),
        Arc::new(IdleQueue),
    )
    .with_coordination(store)
    .with_settings(settings)
    .build()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_may_reach_another_server() {
    let (database, s3) = (TestDatabase::new().await, Server::start());
    let whole: Bytes = (0..20 * MIB + 7).map(|at| (at % 251) as u8).collect();
    let address = "192.0.2.1".parse().unwrap();
    let first = service(&database, &s3).await;
    let id =
        first.create_resumable(Viewer::Anonymous, address, whole.len() as u64, BTreeMap::new(), None).await.unwrap().id;
    let ends = [1_000, 3 * MIB, usize::try_from(PIECE_BYTES).unwrap() + 1, 17 * MIB, whole.len()];
    let mut at = 0;
    for end in ends {
        let server = service(&database, &s3).await;
        let mut upload = server.resume(Viewer::Anonymous, id).await.unwrap();
        assert_eq!(upload.view().received_bytes, at as u64);
        for block in whole[at..end].chunks(100_000) {
            upload.write(whole.slice_ref(block)).await.unwrap();
        }
        upload.save().await.unwrap();
        at = end;
    }
    let last = service(&database, &s3).await;
    let upload = last.resume(Viewer::Anonymous, id).await.unwrap();
    let song = upload.finish(address, "across servers", |song| song).await.unwrap();

    let part = first.part(Viewer::Anonymous.into(), song.id, Part::Song, Format::Mp3).await.unwrap();
    let mut stored = first.open(&part, None).await.unwrap();
    let mut read = Vec::new();
    while let Some(chunk) = stored.next_chunk().await.unwrap() {
        read.extend_from_slice(&chunk);
    }
    assert!(read == whole, "the stored song differs");
    assert_eq!(first.unfinished_uploads().await.unwrap().uploads, 0);
    // A repeat at another server.
    let again = first.resume(Viewer::Anonymous, id).await.unwrap();
    assert_eq!(again.finish(address, "across servers", |song| song).await.unwrap().id, song.id);
}
