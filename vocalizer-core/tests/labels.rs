//! Tests of labels in the service.

#![cfg(feature = "memory")]

use std::sync::Arc;

use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::api::SongView;
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::service::{LibraryListing, ServiceError, SongService};

fn service() -> SongService {
    let (songs, blobs) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default());
    SongService::builder_with_clock(songs, blobs, Arc::new(IdleQueue), Arc::new(ManualClock::new())).build()
}

async fn upload(service: &SongService, viewer: Viewer, title: &str) -> SongView {
    let mut upload = service.begin_upload(viewer).await.expect("an upload");
    upload.write(title.to_owned().into()).await.expect("a written upload");
    upload.finish(title).await.expect("a song")
}

#[tokio::test]
async fn owner_changes_labels_and_everyone_those_of_anonymous_songs() {
    let (service, ada, eve) = (service(), Viewer::User(UserId::random()), Viewer::User(UserId::random()));
    let (hers, open) = (upload(&service, ada, "hers").await.id, upload(&service, Viewer::Anonymous, "open").await.id);
    service.add_label(ada, hers, "Live").await.unwrap();
    for other in [eve, Viewer::Anonymous, Viewer::Shared(hers)] {
        for answer in [service.add_label(other, hers, "x").await, service.remove_label(other, hers, "Live").await] {
            assert!(matches!(answer, Err(ServiceError::NotFound { .. })), "{answer:?}");
        }
    }
    for viewer in [ada, eve, Viewer::Anonymous] {
        service.add_label(viewer, open, "Everyone's").await.unwrap();
        let seen = service.song_in_detail(viewer, open).await.unwrap();
        assert_eq!(seen.labels.unwrap(), ["Everyone's"]);
    }
    assert_eq!(service.labels(eve).await.unwrap().len(), 1);
    assert_eq!(service.labels(ada).await.unwrap().len(), 2);
}

#[tokio::test]
async fn labels_are_details_that_guests_with_a_link_do_not_see() {
    let (service, ada) = (service(), Viewer::User(UserId::random()));
    let id = upload(&service, ada, "x").await.id;
    service.add_label(ada, id, "Live").await.unwrap();
    assert_eq!(service.song(ada, id).await.unwrap().labels, None);
    assert_eq!(service.song_in_detail(ada, id).await.unwrap().labels.unwrap(), ["Live"]);
    assert_eq!(service.song_in_detail(Viewer::Shared(id), id).await.unwrap().labels, None);
    for (details, expected) in [(false, None), (true, Some(vec!["Live".to_owned()]))] {
        let listing = LibraryListing { label: Some(" live".to_owned()), details, ..LibraryListing::default() };
        assert_eq!(service.library(ada, listing).await.unwrap().songs[0].labels, expected);
    }
    let listing = LibraryListing { label: Some("a\nb".to_owned()), ..LibraryListing::default() };
    assert!(matches!(service.library(ada, listing).await, Err(ServiceError::Invalid(_))));
}

#[tokio::test]
async fn change_of_labels_is_announced() {
    let service = service();
    let id = upload(&service, Viewer::Anonymous, "x").await.id;
    let (changed, _) = service.watch_all(Viewer::Anonymous).await.unwrap();
    service.add_label(Viewer::Anonymous, id, "Live").await.unwrap();
    changed.await;
    let (_, songs) = service.watch_all(Viewer::Anonymous).await.unwrap();
    assert_eq!(songs[0].labels.as_deref().unwrap(), ["Live"]);
}
