//! Tests of shared renderings, their cancellation and their timeout.

use std::time::Duration;

use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::{Levels, RenderingCounts, RenderingSettings, ServiceError};

use super::place::{Fixture, client, is_busy, settle};

#[tokio::test]
async fn concurrent_requests_share_one_rendering() {
    let fixture = Fixture::new(RenderingSettings::default());
    let id = fixture.song("a").await;
    let requests: Vec<_> = (0..5).map(|number| fixture.ask(client(number), id)).collect();
    settle().await;
    let peaks_requests: Vec<_> = (0..5).map(|number| fixture.peaks(client(number), id)).collect();
    settle().await;
    assert_eq!(fixture.started(), ["a", "a"], "the drums and their peaks");
    fixture.renderer.permits.add_permits(2);
    let mut tags = Vec::new();
    for request in requests {
        tags.push(request.end().await.unwrap().tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 1);
    for request in peaks_requests {
        request.end().await.unwrap();
    }
    assert_eq!(fixture.started().len(), 2);
}

#[tokio::test]
async fn rendering_is_cancelled_when_last_waiter_leaves() {
    let fixture = Fixture::new(RenderingSettings::default());
    let id = fixture.song("a").await;
    let first = fixture.ask(client(1), id);
    settle().await;
    let second = fixture.ask(client(2), id);
    settle().await;
    drop(first);
    settle().await;
    assert_eq!(fixture.cancelled(), Vec::<String>::new(), "the second still waits");
    drop(second);
    settle().await;
    assert_eq!(fixture.cancelled(), ["a"]);
    let peaks_request = fixture.peaks(client(1), id);
    settle().await;
    drop(peaks_request);
    let mix = fixture.mix(client(1), id);
    settle().await;
    drop(mix);
    settle().await;
    assert_eq!(fixture.cancelled(), ["a", "a", "a"]);
    assert_eq!(fixture.service.renderings(), RenderingCounts::default());
    assert_eq!(fixture.cached(["a"]), Vec::<&str>::new());
    // The next request starts a new rendering.
    fixture.render(id).await;
    assert_eq!(fixture.cached(["a"]), ["a"]);
}

#[tokio::test]
async fn rendering_survives_its_first_requester() {
    let fixture = Fixture::new(RenderingSettings::default());
    let id = fixture.song("a").await;
    let first = fixture.ask(client(1), id);
    settle().await;
    let second = fixture.ask(client(2), id);
    settle().await;
    drop(first);
    fixture.finish_one().await;
    second.end().await.unwrap();
    assert_eq!(fixture.started(), ["a"], "the rendering was started once");
}

#[tokio::test]
async fn cancelled_waiter_starts_no_rendering() {
    let fixture = Fixture::new(RenderingSettings { at_once: 1, ..RenderingSettings::default() });
    let [a, b, c] = fixture.songs(["a", "b", "c"]).await;
    let first = fixture.ask(client(1), a);
    settle().await;
    let second = fixture.ask(client(2), b);
    settle().await;
    let third = fixture.ask(client(3), c);
    settle().await;
    drop(second);
    fixture.finish_one().await;
    first.end().await.unwrap();
    fixture.finish_one().await;
    third.end().await.unwrap();
    assert_eq!(fixture.started(), ["a", "c"]);
}

#[tokio::test]
async fn rendering_times_out() {
    let time_limit = Duration::from_secs(60);
    let fixture = Fixture::new(RenderingSettings { time_limit, at_once: 1, ..RenderingSettings::default() });
    let [a, b] = fixture.songs(["a", "b"]).await;
    let waiting = fixture.ask(client(1), a);
    settle().await;
    let other = fixture.ask(client(2), b);
    settle().await;
    // Waiting in the queue does not count.
    for _ in 0..2 {
        fixture.clock.advance(Duration::from_secs(59));
        settle().await;
        assert!(!other.has_ended());
    }
    assert!(is_busy(&waiting.end().await));
    assert_eq!(fixture.cancelled(), ["a"]);
    fixture.clock.advance(Duration::from_secs(59));
    settle().await;
    assert!(!other.has_ended());
    fixture.clock.advance(Duration::from_secs(2));
    assert!(is_busy(&other.end().await));
    for number in 1..=2 {
        let peaks_request = fixture.peaks(client(number), a);
        settle().await;
        fixture.clock.advance(Duration::from_secs(61));
        let error = peaks_request.end().await.unwrap_err();
        assert_eq!(error.to_string(), "rendering timed out after 60s");
    }
    let mix = fixture.mix(client(1), a);
    settle().await;
    fixture.clock.advance(Duration::from_secs(61));
    assert!(is_busy(&mix.end().await));
    assert_eq!(fixture.cancelled(), ["a", "b", "a", "a", "a"]);
    assert_eq!(fixture.service.renderings(), RenderingCounts::default());
    fixture.render(a).await;
}

#[tokio::test]
async fn lookups_render_nothing() {
    let fixture = Fixture::new(RenderingSettings::default());
    let id = fixture.song("a").await;
    let info = fixture.service.part_info(Viewer::Anonymous, id, Part::Drums, Format::Wav).await.unwrap();
    assert!(info.file.is_none());
    assert!(fixture.service.known_peaks(Viewer::Anonymous, id, Part::Drums).await.unwrap().is_none());
    fixture.service.mix_title(Viewer::Anonymous, id, &Levels::PLAIN).await.unwrap();
    assert_eq!(fixture.started(), Vec::<String>::new());
}

#[tokio::test]
async fn error_reaches_all_waiters() {
    let fixture = Fixture::new(RenderingSettings::default());
    let id = fixture.song("a").await;
    let requests: Vec<_> = (0..3).map(|number| fixture.ask(client(number), id)).collect();
    settle().await;
    fixture.service.delete(Viewer::Anonymous, id).await.unwrap();
    fixture.finish_one().await;
    for request in requests {
        assert!(matches!(request.end().await, Err(ServiceError::NotFound { what: "song" })));
    }
    assert_eq!(fixture.service.renderings(), RenderingCounts::default());
    assert_eq!(fixture.cached(["a"]), Vec::<&str>::new(), "a rendition of a deleted song was stored");
}
