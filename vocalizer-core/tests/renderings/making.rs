//! One making for all who wait, which ends with the last of them or with its time.

use std::time::Duration;

use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::{Levels, RenderingCounts, RenderingSettings, ServiceError};

use super::place::{Place, client, is_busy, settle};

#[tokio::test]
async fn all_who_ask_at_once_wait_for_one_making() {
    let place = Place::new(RenderingSettings::default());
    let id = place.song("a").await;
    let asked: Vec<_> = (0..5).map(|number| place.ask(client(number), id)).collect();
    settle().await;
    let drawn: Vec<_> = (0..5).map(|number| place.peaks(client(number), id)).collect();
    settle().await;
    assert_eq!(place.begun(), ["a", "a"], "the drums, and their peaks");
    place.renderer.go.add_permits(2);
    let mut tags = Vec::new();
    for asked in asked {
        tags.push(asked.end().await.unwrap().tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 1);
    for drawn in drawn {
        drawn.end().await.unwrap();
    }
    assert_eq!(place.begun().len(), 2);
}

#[tokio::test]
async fn work_ends_when_the_last_who_waits_for_it_leaves() {
    let place = Place::new(RenderingSettings::default());
    let id = place.song("a").await;
    let first = place.ask(client(1), id);
    settle().await;
    let second = place.ask(client(2), id);
    settle().await;
    drop(first);
    settle().await;
    assert_eq!(place.given_up(), Vec::<String>::new(), "the second still waits");
    drop(second);
    settle().await;
    assert_eq!(place.given_up(), ["a"]);
    let drawn = place.peaks(client(1), id);
    settle().await;
    drop(drawn);
    let mixed = place.mix(client(1), id);
    settle().await;
    drop(mixed);
    settle().await;
    assert_eq!(place.given_up(), ["a", "a", "a"]);
    assert_eq!(place.service.renderings(), RenderingCounts::default());
    assert_eq!(place.kept(["a"]), Vec::<&str>::new());
    // Whoever asks next begins anew.
    place.made(id).await;
    assert_eq!(place.kept(["a"]), ["a"]);
}

#[tokio::test]
async fn who_began_and_left_does_not_take_the_work_along() {
    let place = Place::new(RenderingSettings::default());
    let id = place.song("a").await;
    let first = place.ask(client(1), id);
    settle().await;
    let second = place.ask(client(2), id);
    settle().await;
    drop(first);
    place.one_ends().await;
    second.end().await.unwrap();
    assert_eq!(place.begun(), ["a"], "it was begun once");
}

#[tokio::test]
async fn who_waits_in_line_and_leaves_is_not_worked_for() {
    let place = Place::new(RenderingSettings { at_once: 1, ..RenderingSettings::default() });
    let [a, b, c] = place.songs(["a", "b", "c"]).await;
    let first = place.ask(client(1), a);
    settle().await;
    let second = place.ask(client(2), b);
    settle().await;
    let third = place.ask(client(3), c);
    settle().await;
    drop(second);
    place.one_ends().await;
    first.end().await.unwrap();
    place.one_ends().await;
    third.end().await.unwrap();
    assert_eq!(place.begun(), ["a", "c"]);
}

#[tokio::test]
async fn work_that_takes_too_long_is_given_up() {
    let time_limit = Duration::from_secs(60);
    let place = Place::new(RenderingSettings { time_limit, at_once: 1, ..RenderingSettings::default() });
    let [a, b] = place.songs(["a", "b"]).await;
    let waiting = place.ask(client(1), a);
    settle().await;
    let other = place.ask(client(2), b);
    settle().await;
    // To wait for one's turn does not count.
    for _ in 0..2 {
        place.clock.advance(Duration::from_secs(59));
        settle().await;
        assert!(!other.has_ended());
    }
    assert!(is_busy(&waiting.end().await));
    assert_eq!(place.given_up(), ["a"]);
    place.clock.advance(Duration::from_secs(59));
    settle().await;
    assert!(!other.has_ended());
    place.clock.advance(Duration::from_secs(2));
    assert!(is_busy(&other.end().await));
    for number in 1..=2 {
        let drawn = place.peaks(client(number), a);
        settle().await;
        place.clock.advance(Duration::from_secs(61));
        let said = drawn.end().await.unwrap_err();
        assert_eq!(said.to_string(), "rendering timed out after 60s");
    }
    let mixed = place.mix(client(1), a);
    settle().await;
    place.clock.advance(Duration::from_secs(61));
    assert!(is_busy(&mixed.end().await));
    assert_eq!(place.given_up(), ["a", "b", "a", "a", "a"]);
    assert_eq!(place.service.renderings(), RenderingCounts::default());
    place.made(a).await;
}

#[tokio::test]
async fn a_look_makes_nothing() {
    let place = Place::new(RenderingSettings::default());
    let id = place.song("a").await;
    let info = place.service.part_info(Viewer::Anonymous, id, Part::Drums, Format::Wav).await.unwrap();
    assert!(info.file.is_none());
    assert!(place.service.known_peaks(Viewer::Anonymous, id, Part::Drums).await.unwrap().is_none());
    place.service.mix_title(Viewer::Anonymous, id, &Levels::PLAIN).await.unwrap();
    assert_eq!(place.begun(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_wrong_is_told_to_all_who_wait() {
    let place = Place::new(RenderingSettings::default());
    let id = place.song("a").await;
    let asked: Vec<_> = (0..3).map(|number| place.ask(client(number), id)).collect();
    settle().await;
    place.service.delete(Viewer::Anonymous, id).await.unwrap();
    place.one_ends().await;
    for asked in asked {
        assert!(matches!(asked.end().await, Err(ServiceError::NotFound { what: "song" })));
    }
    assert_eq!(place.service.renderings(), RenderingCounts::default());
    assert_eq!(place.kept(["a"]), Vec::<&str>::new(), "nothing is stored for a song that is gone");
}
