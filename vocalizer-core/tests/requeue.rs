//! Tests of the request to split a song again by an operator.

#![cfg(feature = "memory")]

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use vocalizer_core::account::Viewer;
use vocalizer_core::memory::{
    IdleQueue, ManualClock, MemoryAccounts, MemoryAdministration, MemoryAudit, MemoryBlobs, MemorySongs, PlainPasswords,
};
use vocalizer_core::ports::{Backend as _, HashLocks as _};
use vocalizer_core::service::{AccountService, AdminService, AdminStores, LocalCoordination, SongService};
use vocalizer_core::song::{FailureReason, StatusKind};

/// A cancellation, which holds the lock, would withdraw a job that is requested meanwhile.
#[tokio::test]
async fn request_waits_for_the_lock_of_the_song() {
    let (songs, users) = (Arc::<MemorySongs>::default(), Arc::<MemoryAccounts>::default());
    let (clock, coordination) = (Arc::new(ManualClock::new()), Arc::<LocalCoordination>::default());
    let blobs = Arc::new(MemoryBlobs::default());
    let service =
        SongService::builder_with_clock(Arc::clone(&songs) as _, blobs, Arc::new(IdleQueue), Arc::clone(&clock) as _)
            .build();
    let stores = AdminStores {
        administration: Arc::new(MemoryAdministration::new(Arc::clone(&users), Arc::clone(&songs))),
        songs: Arc::clone(&songs) as _,
        blobs: None,
        coordination: Arc::clone(&coordination) as _,
        audit: Arc::<MemoryAudit>::default(),
        has_locks: true,
    };
    let accounts = AccountService::builder_with_clock(users, Arc::new(PlainPasswords), clock).build();
    let operator = AdminService::new(accounts, stores, "root");
    let mut upload = service.begin_upload(Viewer::Anonymous).await.unwrap();
    upload.write("the file".into()).await.unwrap();
    let song = upload.finish("x").await.unwrap();
    let hash = song.hash.parse().unwrap();
    service.fail(&hash, &FailureReason::new("out of memory")).await.unwrap();

    let lock = coordination.lock(&hash).await.unwrap();
    let mut requeued = pin!(operator.requeue(song.id));
    assert!(requeued.as_mut().now_or_never().is_none());
    drop(lock);
    assert_eq!(requeued.await.unwrap().status().kind(), StatusKind::Uploaded);
}
