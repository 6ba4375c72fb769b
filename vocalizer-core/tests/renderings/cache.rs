//! What is kept, and for how long.

use std::time::Duration;

use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::RenderingSettings;

use super::place::{Place, SIZE, client, settle};

fn keeping(files: u64) -> RenderingSettings {
    RenderingSettings { max_bytes: Some(files * SIZE), ..RenderingSettings::default() }
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[tokio::test]
async fn what_was_used_longest_ago_goes_first() {
    let place = Place::new(keeping(3));
    let [a, b, c, d, e] = place.songs(NAMES).await;
    for id in [a, b, c] {
        place.made(id).await;
        place.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(place.kept(NAMES), ["a", "b", "c"]);
    // Looked at again, so that it is not the oldest any more.
    place.service.part_info(Viewer::Anonymous, a, Part::Drums, Format::Flac).await.unwrap();
    place.clock.advance(Duration::from_secs(1));
    place.made(d).await;
    assert_eq!(place.kept(NAMES), ["a", "c", "d"]);
    place.clock.advance(Duration::from_secs(1));
    place.made(e).await;
    assert_eq!(place.kept(NAMES), ["a", "d", "e"]);
    assert_eq!(place.service.renderings().bytes, 3 * SIZE);
    // It is made again.
    place.made(b).await;
    assert_eq!(place.kept(NAMES), ["b", "d", "e"]);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let place = Place::new(keeping(1));
    let [a, b, c, ..] = place.songs(NAMES).await;
    place.renderer.go.add_permits(3);
    let file = place.ask(client(1), a).end().await.unwrap();
    let mut reader = place.service.open(&file, None).await.unwrap();
    place.clock.advance(Duration::from_secs(1));
    place.ask(client(1), b).end().await.unwrap();
    place.clock.advance(Duration::from_secs(1));
    place.ask(client(1), c).end().await.unwrap();
    place.service.trim().await.unwrap();
    assert_eq!(place.kept(NAMES), ["a"], "the oldest, which is in use");
    // The file alone, and then its reader alone.
    drop(file);
    place.service.trim().await.unwrap();
    let mut read = 0;
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        read += chunk.len() as u64;
    }
    assert_eq!(read, SIZE);
    assert_eq!(place.kept(NAMES), ["a"]);
    drop(reader);
    place.made(b).await;
    place.service.trim().await.unwrap();
    assert_eq!(place.kept(NAMES), ["b"]);
}

#[tokio::test]
async fn with_a_bound_of_zero_nothing_stays_after_its_use() {
    let place = Place::new(keeping(0));
    let a = place.song("a").await;
    place.renderer.go.add_permits(2);
    let file = place.ask(client(1), a).end().await.unwrap();
    let mut reader = place.service.open(&file, None).await.unwrap();
    place.service.trim().await.unwrap();
    while reader.next_chunk().await.unwrap().is_some() {}
    assert_eq!(place.kept(["a"]), ["a"]);
    let excess = place.service.excess();
    drop((file, reader));
    // Whoever tends the service hears of it.
    tokio::time::timeout(Duration::from_secs(60), excess).await.expect("there is something to remove");
    place.service.trim().await.unwrap();
    assert_eq!(place.kept(["a"]), Vec::<&str>::new());
    place.peaks(client(1), a).end().await.unwrap();
    place.service.trim().await.unwrap();
    assert_eq!(place.service.renderings().bytes, 0);
}

#[tokio::test]
async fn a_mix_that_is_being_read_counts_as_long_as_it_is() {
    let place = Place::new(keeping(2));
    let [a, b, ..] = place.songs(NAMES).await;
    place.made(a).await;
    place.clock.advance(Duration::from_secs(1));
    place.made(b).await;
    place.renderer.go.add_permits(1);
    let mix = place.mix(client(1), a).end().await.unwrap();
    assert_eq!(place.kept(NAMES), ["b"]);
    assert_eq!(place.service.renderings().bytes, 2 * SIZE);
    drop(mix);
    assert_eq!(place.service.renderings().bytes, SIZE);
}

#[tokio::test]
async fn what_an_earlier_process_left_counts_in_the_order_of_its_use() {
    let earlier = Place::new(keeping(10));
    let [a, b, c, d, _] = earlier.songs(NAMES).await;
    for id in [a, b, c] {
        earlier.made(id).await;
    }
    earlier.service.part_info(Viewer::Anonymous, a, Part::Drums, Format::Flac).await.unwrap();
    let place = earlier.restarted(keeping(2));
    place.service.trim().await.unwrap();
    assert_eq!(place.kept(NAMES), ["a", "c"]);
    assert_eq!(place.service.renderings().bytes, 2 * SIZE);
    place.clock.advance(Duration::from_secs(1));
    place.made(d).await;
    assert_eq!(place.kept(NAMES), ["a", "d"]);
}

#[tokio::test]
async fn a_deleted_song_counts_no_more() {
    let place = Place::new(keeping(2));
    let [a, b, c, ..] = place.songs(NAMES).await;
    for id in [a, b] {
        place.made(id).await;
        place.clock.advance(Duration::from_secs(1));
    }
    place.service.delete(Viewer::Anonymous, b).await.unwrap();
    assert_eq!(place.service.renderings().bytes, SIZE);
    place.made(c).await;
    assert_eq!(place.kept(NAMES), ["a", "c"]);
}

#[tokio::test]
async fn work_that_was_given_up_counts_nothing() {
    let place = Place::new(keeping(2));
    let a = place.song("a").await;
    let asked = place.ask(client(1), a);
    settle().await;
    drop(asked);
    settle().await;
    assert_eq!(place.service.renderings().bytes, 0);
}
