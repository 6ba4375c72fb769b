//! Tests of the rendition cache.

use std::time::Duration;

use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::RenderingSettings;

use super::place::{FILE_BYTES, Fixture, client, settle};

fn cache_of(files: u64) -> RenderingSettings {
    RenderingSettings { max_bytes: Some(files * FILE_BYTES), ..RenderingSettings::default() }
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[tokio::test]
async fn least_recently_used_is_evicted_first() {
    let fixture = Fixture::new(cache_of(3));
    let [a, b, c, d, e] = fixture.songs(NAMES).await;
    for id in [a, b, c] {
        fixture.render(id).await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(fixture.cached(NAMES), ["a", "b", "c"]);
    // Use it again, so that it is no longer the least recently used.
    fixture.service.part_info(Viewer::Anonymous, a, Part::Drums, Format::Flac).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    fixture.render(d).await;
    assert_eq!(fixture.cached(NAMES), ["a", "c", "d"]);
    fixture.clock.advance(Duration::from_secs(1));
    fixture.render(e).await;
    assert_eq!(fixture.cached(NAMES), ["a", "d", "e"]);
    assert_eq!(fixture.service.renderings().bytes, 3 * FILE_BYTES);
    // An evicted rendition is rendered again.
    fixture.render(b).await;
    assert_eq!(fixture.cached(NAMES), ["b", "d", "e"]);
}

#[tokio::test]
async fn rendition_in_use_is_not_evicted() {
    let fixture = Fixture::new(cache_of(1));
    let [a, b, c, ..] = fixture.songs(NAMES).await;
    fixture.renderer.permits.add_permits(3);
    let file = fixture.ask(client(1), a).end().await.unwrap();
    let mut reader = fixture.service.open(&file, None).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    fixture.ask(client(1), b).end().await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    fixture.ask(client(1), c).end().await.unwrap();
    fixture.service.trim().await.unwrap();
    assert_eq!(fixture.cached(NAMES), ["a"], "the oldest is in use");
    // Drop the file, then its reader.
    drop(file);
    fixture.service.trim().await.unwrap();
    let mut read = 0;
    while let Some(chunk) = reader.next_chunk().await.unwrap() {
        read += chunk.len() as u64;
    }
    assert_eq!(read, FILE_BYTES);
    assert_eq!(fixture.cached(NAMES), ["a"]);
    drop(reader);
    fixture.render(b).await;
    fixture.service.trim().await.unwrap();
    assert_eq!(fixture.cached(NAMES), ["b"]);
}

#[tokio::test]
async fn zero_cache_size_keeps_nothing_after_use() {
    let fixture = Fixture::new(cache_of(0));
    let a = fixture.song("a").await;
    fixture.renderer.permits.add_permits(2);
    let file = fixture.ask(client(1), a).end().await.unwrap();
    let mut reader = fixture.service.open(&file, None).await.unwrap();
    fixture.service.trim().await.unwrap();
    while reader.next_chunk().await.unwrap().is_some() {}
    assert_eq!(fixture.cached(["a"]), ["a"]);
    let excess = fixture.service.excess();
    drop((file, reader));
    // The service reports the excess.
    tokio::time::timeout(Duration::from_secs(60), excess).await.expect("excess reported");
    fixture.service.trim().await.unwrap();
    assert_eq!(fixture.cached(["a"]), Vec::<&str>::new());
    fixture.peaks(client(1), a).end().await.unwrap();
    fixture.service.trim().await.unwrap();
    assert_eq!(fixture.service.renderings().bytes, 0);
}

#[tokio::test]
async fn mix_being_read_counts_towards_cache_size() {
    let fixture = Fixture::new(cache_of(2));
    let [a, b, ..] = fixture.songs(NAMES).await;
    fixture.render(a).await;
    fixture.clock.advance(Duration::from_secs(1));
    fixture.render(b).await;
    fixture.renderer.permits.add_permits(1);
    let mix = fixture.mix(client(1), a).end().await.unwrap();
    assert_eq!(fixture.cached(NAMES), ["b"]);
    assert_eq!(fixture.service.renderings().bytes, 2 * FILE_BYTES);
    drop(mix);
    assert_eq!(fixture.service.renderings().bytes, FILE_BYTES);
}

#[tokio::test]
async fn renditions_of_earlier_process_are_evicted_by_use() {
    let earlier = Fixture::new(cache_of(10));
    let [a, b, c, d, _] = earlier.songs(NAMES).await;
    for id in [a, b, c] {
        earlier.render(id).await;
    }
    earlier.service.part_info(Viewer::Anonymous, a, Part::Drums, Format::Flac).await.unwrap();
    let fixture = earlier.restarted(cache_of(2));
    fixture.service.trim().await.unwrap();
    assert_eq!(fixture.cached(NAMES), ["a", "c"]);
    assert_eq!(fixture.service.renderings().bytes, 2 * FILE_BYTES);
    fixture.clock.advance(Duration::from_secs(1));
    fixture.render(d).await;
    assert_eq!(fixture.cached(NAMES), ["a", "d"]);
}

#[tokio::test]
async fn deleted_song_frees_cache_space() {
    let fixture = Fixture::new(cache_of(2));
    let [a, b, c, ..] = fixture.songs(NAMES).await;
    for id in [a, b] {
        fixture.render(id).await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    fixture.service.delete(Viewer::Anonymous, b).await.unwrap();
    assert_eq!(fixture.service.renderings().bytes, FILE_BYTES);
    fixture.render(c).await;
    assert_eq!(fixture.cached(NAMES), ["a", "c"]);
}

#[tokio::test]
async fn cancelled_rendering_uses_no_cache_space() {
    let fixture = Fixture::new(cache_of(2));
    let a = fixture.song("a").await;
    let request = fixture.ask(client(1), a);
    settle().await;
    drop(request);
    settle().await;
    assert_eq!(fixture.service.renderings().bytes, 0);
}
