//! Tests of fairness between clients and of waiting limits.

use vocalizer_core::service::{RenderingCounts, RenderingSettings};

use super::place::{Fixture, client, is_busy, settle};

fn settings(at_once: usize) -> RenderingSettings {
    RenderingSettings { at_once, ..RenderingSettings::default() }
}

#[tokio::test]
async fn clients_take_turns() {
    let fixture = Fixture::new(settings(1));
    let many = fixture.songs(["a1", "a2", "a3", "a4", "a5"]).await;
    let mut requests = Vec::new();
    for id in many {
        requests.push(fixture.ask(client(1), id));
        settle().await;
    }
    for (number, names) in [(2, ["b1", "b2"]), (3, ["c1", "c2"])] {
        for id in fixture.songs(names).await {
            requests.push(fixture.ask(client(number), id));
            settle().await;
        }
    }
    assert_eq!(fixture.service.renderings(), RenderingCounts { running: 1, waiting: 8, bytes: 0 });
    for _ in 0..9 {
        fixture.finish_one().await;
    }
    assert_eq!(fixture.started(), ["a1", "a2", "b1", "c1", "a3", "b2", "c2", "a4", "a5"]);
    for request in requests {
        request.end().await.unwrap();
    }
    let RenderingCounts { running, waiting, .. } = fixture.service.renderings();
    assert_eq!((running, waiting), (0, 0));
}

#[tokio::test]
async fn one_client_never_takes_all_slots() {
    let fixture = Fixture::new(settings(2));
    let [a1, a2, a3, b1] = fixture.songs(["a1", "a2", "a3", "b1"]).await;
    let _many = [a1, a2, a3].map(|id| fixture.mix(client(1), id));
    settle().await;
    assert_eq!(fixture.started(), ["a1"]);
    let _other = fixture.ask(client(2), b1);
    settle().await;
    assert_eq!(fixture.started(), ["a1", "b1"], "the other client waits for the first one's work");
}

#[tokio::test]
async fn shared_rendition_runs_at_first_turn_of_any_waiter() {
    let fixture = Fixture::new(settings(1));
    let [a1, a2, a3, a4] = fixture.songs(["a1", "a2", "a3", "a4"]).await;
    let mut many = Vec::new();
    for id in [a1, a2, a3, a4] {
        many.push(fixture.ask(client(1), id));
        settle().await;
    }
    // The other client must not wait for all earlier requests of the first one.
    let other = fixture.ask(client(2), a4);
    settle().await;
    for _ in 0..3 {
        fixture.finish_one().await;
    }
    assert!(other.has_ended());
    assert_eq!(fixture.started(), ["a1", "a2", "a4", "a3"]);
    fixture.finish_one().await;
    for request in many {
        request.end().await.unwrap();
    }
    assert_eq!(fixture.started().len(), 4, "a file was rendered twice");
}

#[tokio::test]
async fn waiting_limits_are_enforced() {
    let fixture = Fixture::new(RenderingSettings { most: 3, most_per_client: 2, ..settings(1) });
    let [a1, a2, a3, b1, c1] = fixture.songs(["a1", "a2", "a3", "b1", "c1"]).await;
    let first = fixture.ask(client(1), a1);
    settle().await;
    let second = fixture.peaks(client(1), a2);
    settle().await;
    assert!(is_busy(&fixture.ask(client(1), a3).end().await), "the limit per client");
    assert!(is_busy(&fixture.mix(client(1), a3).end().await));
    let _third = fixture.ask(client(2), b1);
    settle().await;
    assert!(is_busy(&fixture.ask(client(3), c1).end().await), "the total limit");
    // Waiting for a running rendering does not count.
    let same = fixture.ask(client(3), a1);
    settle().await;
    fixture.finish_one().await;
    first.end().await.unwrap();
    same.end().await.unwrap();
    // A finished or cancelled request makes room for another.
    let fourth = fixture.ask(client(3), c1);
    settle().await;
    assert!(is_busy(&fixture.ask(client(4), a3).end().await));
    drop(second);
    settle().await;
    let fifth = fixture.ask(client(4), a3);
    settle().await;
    assert!(!fourth.has_ended() && !fifth.has_ended());
}

#[tokio::test]
async fn slow_mix_readers_do_not_block_others() {
    let fixture = Fixture::new(RenderingSettings { most: 3, most_per_client: 2, ..settings(1) });
    let [a, b] = fixture.songs(["a", "b"]).await;
    fixture.renderer.permits.add_permits(10);
    let first = fixture.mix(client(1), a).end().await.unwrap();
    let second = fixture.mix(client(1), a).end().await.unwrap();
    assert!(is_busy(&fixture.mix(client(1), a).end().await), "the limit per client");
    let third = fixture.mix(client(2), a).end().await.unwrap();
    assert!(is_busy(&fixture.mix(client(3), a).end().await), "the total limit");
    // Three unread mixes reach the limit of renderings, but do not block other requests.
    for number in 1..=3 {
        fixture.ask(client(number), b).end().await.unwrap();
        fixture.peaks(client(number), b).end().await.unwrap();
    }
    drop(first);
    fixture.mix(client(1), a).end().await.unwrap();
    drop((second, third));
}
