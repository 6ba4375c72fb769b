//! Clients take turns, and no more wait than may.

use vocalizer_core::service::{RenderingCounts, RenderingSettings};

use super::place::{Place, client, is_busy, settle};

fn settings(at_once: usize) -> RenderingSettings {
    RenderingSettings { at_once, ..RenderingSettings::default() }
}

#[tokio::test]
async fn clients_take_turns_however_much_each_asks_for() {
    let place = Place::new(settings(1));
    let many = place.songs(["a1", "a2", "a3", "a4", "a5"]).await;
    let mut asked = Vec::new();
    for id in many {
        asked.push(place.ask(client(1), id));
        settle().await;
    }
    for (number, names) in [(2, ["b1", "b2"]), (3, ["c1", "c2"])] {
        for id in place.songs(names).await {
            asked.push(place.ask(client(number), id));
            settle().await;
        }
    }
    assert_eq!(place.service.renderings(), RenderingCounts { running: 1, waiting: 8, bytes: 0 });
    for _ in 0..9 {
        place.one_ends().await;
    }
    assert_eq!(place.begun(), ["a1", "a2", "b1", "c1", "a3", "b2", "c2", "a4", "a5"]);
    for asked in asked {
        asked.end().await.unwrap();
    }
    let RenderingCounts { running, waiting, .. } = place.service.renderings();
    assert_eq!((running, waiting), (0, 0));
}

#[tokio::test]
async fn one_client_never_has_all_places() {
    let place = Place::new(settings(2));
    let [a1, a2, a3, b1] = place.songs(["a1", "a2", "a3", "b1"]).await;
    let _many = [a1, a2, a3].map(|id| place.mix(client(1), id));
    settle().await;
    assert_eq!(place.begun(), ["a1"]);
    let _other = place.ask(client(2), b1);
    settle().await;
    assert_eq!(place.begun(), ["a1", "b1"], "the other client waits for the first one's work");
}

#[tokio::test]
async fn a_rendition_that_several_wait_for_is_made_at_the_first_turn_of_any() {
    let place = Place::new(settings(1));
    let [a1, a2, a3, a4] = place.songs(["a1", "a2", "a3", "a4"]).await;
    let mut many = Vec::new();
    for id in [a1, a2, a3, a4] {
        many.push(place.ask(client(1), id));
        settle().await;
    }
    // The last of the first client's, which must not make the other wait for all before.
    let other = place.ask(client(2), a4);
    settle().await;
    for _ in 0..3 {
        place.one_ends().await;
    }
    assert!(other.has_ended());
    assert_eq!(place.begun(), ["a1", "a2", "a4", "a3"]);
    place.one_ends().await;
    for asked in many {
        asked.end().await.unwrap();
    }
    assert_eq!(place.begun().len(), 4, "nothing is made twice");
}

#[tokio::test]
async fn no_more_wait_than_may() {
    let place = Place::new(RenderingSettings { most: 3, most_per_client: 2, ..settings(1) });
    let [a1, a2, a3, b1, c1] = place.songs(["a1", "a2", "a3", "b1", "c1"]).await;
    let first = place.ask(client(1), a1);
    settle().await;
    let second = place.peaks(client(1), a2);
    settle().await;
    assert!(is_busy(&place.ask(client(1), a3).end().await), "a client's own bound");
    assert!(is_busy(&place.mix(client(1), a3).end().await));
    let _third = place.ask(client(2), b1);
    settle().await;
    assert!(is_busy(&place.ask(client(3), c1).end().await), "the bound of all");
    // To wait for what is being made costs nothing.
    let same = place.ask(client(3), a1);
    settle().await;
    place.one_ends().await;
    first.end().await.unwrap();
    same.end().await.unwrap();
    // There is room again, also where somebody stops waiting.
    let fourth = place.ask(client(3), c1);
    settle().await;
    assert!(is_busy(&place.ask(client(4), a3).end().await));
    drop(second);
    settle().await;
    let fifth = place.ask(client(4), a3);
    settle().await;
    assert!(!fourth.has_ended() && !fifth.has_ended());
}

#[tokio::test]
async fn who_reads_a_mix_slowly_holds_up_nobody_and_has_no_more_than_their_share() {
    let place = Place::new(RenderingSettings { most: 3, most_per_client: 2, ..settings(1) });
    let [a, b] = place.songs(["a", "b"]).await;
    place.renderer.go.add_permits(10);
    let first = place.mix(client(1), a).end().await.unwrap();
    let second = place.mix(client(1), a).end().await.unwrap();
    assert!(is_busy(&place.mix(client(1), a).end().await), "a client's own bound");
    let third = place.mix(client(2), a).end().await.unwrap();
    assert!(is_busy(&place.mix(client(3), a).end().await), "the bound of all");
    // Three mixes lie there unread, as many as files may be made; others are made all the same.
    for number in 1..=3 {
        place.ask(client(number), b).end().await.unwrap();
        place.peaks(client(number), b).end().await.unwrap();
    }
    drop(first);
    place.mix(client(1), a).end().await.unwrap();
    drop((second, third));
}
