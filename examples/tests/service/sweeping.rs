//! What does not fit together is mended, and never at the cost of what may be somebody's.

use super::support::{Browser, Service, Settings, song};

#[tokio::test]
async fn a_song_whose_file_is_missing_fails_and_says_so() {
    let service = Service::idle().await;
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    let source = service.stored(1).await.remove(0);
    std::fs::remove_file(source).unwrap();
    let service = Service::over(service.stop().await, Settings::default()).await;
    let failed = Browser::new(&service).until(&uploaded, "FAILED").await;
    assert_eq!(failed["failure_reason"], "its file is missing on the server; upload it again");
}

#[tokio::test]
async fn what_no_song_has_is_removed_unless_it_is_most_of_what_there_is() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let few: Vec<_> = (0..5).collect();
    for number in &few {
        browser.upload("x", &song(*number)).await;
    }
    let orphan = |number: u32| {
        let hash = format!("{number:064x}");
        let folder = service.blobs().join(&hash[..2]).join(&hash);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("source"), b"nobody's").unwrap();
    };
    (0..10).for_each(orphan);
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 10, "a crash leaves a few");
    service.stored(few.len()).await;

    // As with another database than the one of these files.
    (0..20).for_each(orphan);
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 0);
    service.stored(few.len() + 20).await;
}
