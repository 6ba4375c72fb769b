//! Checks for every [`WebhookRepository`].
#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use time::OffsetDateTime;
use vocalizer_core::account::UserId;
use vocalizer_core::api::{DeliveryStatus, WebhookEvent};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{Backlog, ClaimedDelivery, RepositoryError, SongRepository, WebhookRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, Song, SongId, Target, Title};
use vocalizer_core::webhook::{DISABLED, Delivery, Health, Webhook, WebhookId};

pub use crate::songs::SongsPlace;
use crate::support::{at_us, hash};

const CLAIM: Duration = Duration::from_secs(60);

fn webhook(user: UserId, created_at: i64) -> Webhook {
    Webhook {
        id: WebhookId::random(),
        user,
        url: Secret::new("https://ada.example.org/songs?key=ä".to_owned()),
        secret: Secret::new("whsec_00ff".to_owned()),
        events: WebhookEvent::SONG.to_vec(),
        created_at: at_us(created_at),
        health: Health::default(),
    }
}

fn hooks(songs: &Arc<dyn SongRepository>) -> &dyn WebhookRepository {
    songs.webhooks().expect("a repository with webhooks")
}

async fn stored(songs: &Arc<dyn SongRepository>, webhook: Webhook) -> Webhook {
    assert!(hooks(songs).insert_webhook(&webhook, 100).await.unwrap());
    webhook
}

async fn admitted(songs: &Arc<dyn SongRepository>, uploader: Option<UserId>, bytes: &str) -> Song {
    let title = Title::parse("Für Elise", usize::MAX).unwrap();
    let mut song = Song::begin(SongId::random(), title, hash(bytes), uploader, at_us(0));
    song.finish_upload().unwrap();
    songs.admit(&song).await.unwrap()
}

/// Returns the events and songs of a webhook's deliveries, in the order of the events.
async fn events(songs: &Arc<dyn SongRepository>, id: WebhookId) -> Vec<(WebhookEvent, Option<SongId>)> {
    let deliveries = hooks(songs).deliveries(id, 100).await.unwrap();
    let mut events: Vec<_> = deliveries.iter().map(|one| (one.event, one.song.as_ref().map(|song| song.id))).collect();
    events.sort_unstable();
    events
}

/// Adds a delivery that is due.
async fn ping(songs: &Arc<dyn SongRepository>, webhook: &Webhook, created_at: i64) -> Delivery {
    let delivery = Delivery::new(webhook.id, WebhookEvent::Ping, None, at_us(created_at));
    hooks(songs).insert_delivery(&delivery).await.unwrap();
    delivery
}

async fn claim(songs: &Arc<dyn SongRepository>, limit: u32, now: OffsetDateTime) -> Vec<ClaimedDelivery> {
    hooks(songs).claim_deliveries(limit, CLAIM, now).await.unwrap()
}

fn ids(claimed: &[ClaimedDelivery]) -> Vec<vocalizer_core::webhook::DeliveryId> {
    claimed.iter().map(|one| one.delivery.id).collect()
}

/// Everything of a webhook, for comparisons.
fn shown(webhook: &Webhook) -> impl PartialEq + std::fmt::Debug {
    let Webhook { id, user, url, secret, events, created_at, health } = webhook.clone();
    (id, user, url.into_exposed(), secret.into_exposed(), events, created_at, health)
}

pub async fn stored_webhook_is_found_unchanged(place: &impl SongsPlace) {
    let (songs, user, other) = (place.songs().await, place.user().await, place.user().await);
    let health = Health { failing_since: Some(at_us(5)), given_up: 3, disabled_at: Some(at_us(7)) };
    let old = stored(&songs, Webhook { events: vec![WebhookEvent::Failed], health, ..webhook(user, 1) }).await;
    let new = stored(&songs, webhook(user, 2)).await;
    stored(&songs, webhook(other, 3)).await;
    let found = hooks(&place.songs().await).webhooks_of(user).await.unwrap();
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), [shown(&new), shown(&old)]);
    let repeated = hooks(&songs).insert_webhook(&new, 100).await;
    assert!(matches!(repeated, Err(RepositoryError::Conflict)), "{repeated:?}");
}

pub async fn webhooks_of_a_user_are_limited(place: &impl SongsPlace) {
    let (one, other, user) = (place.songs().await, place.songs().await, place.user().await);
    let webhooks: Vec<_> = (0..10).map(|number| webhook(user, number)).collect();
    let inserted = webhooks.iter().enumerate().map(|(at, webhook)| {
        let songs = if at % 2 == 0 { &one } else { &other };
        hooks(songs).insert_webhook(webhook, 3)
    });
    let inserted = join_all(inserted).await.into_iter().filter(|inserted| *inserted.as_ref().unwrap()).count();
    assert_eq!((inserted, hooks(&one).webhooks_of(user).await.unwrap().len()), (3, 3));
    assert!(hooks(&one).insert_webhook(&webhook(place.user().await, 0), 3).await.unwrap(), "another user");
}

pub async fn changes_of_songs_become_deliveries(place: &impl SongsPlace) {
    let (songs, user, other) = (place.songs().await, place.user().await, place.user().await);
    let (all, foreign) = (stored(&songs, webhook(user, 0)).await, stored(&songs, webhook(other, 0)).await);
    let failures = stored(&songs, Webhook { events: vec![WebhookEvent::Failed], ..webhook(user, 1) }).await;
    let (split, failed) = (admitted(&songs, Some(user), "a").await, admitted(&songs, Some(user), "b").await);
    let foreign_song = admitted(&songs, Some(other), "a").await;
    admitted(&songs, None, "a").await;
    assert_eq!(events(&songs, all.id).await, []);
    songs.advance(split.hash(), &Advance::Begin).await.unwrap();
    songs.advance(split.hash(), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(split.hash(), &Advance::FINISH_MP3).await.unwrap();
    songs.advance(failed.hash(), &Advance::Fail(FailureReason::new("too „loud“"))).await.unwrap();
    // Its stems exist.
    let reused = admitted(&songs, Some(user), "a").await;
    songs.admit(&reused).await.unwrap();
    songs.remove(split.id()).await.unwrap();
    songs.remove(split.id()).await.unwrap();

    let (kind, id) = (|event| move |song: &Song| (event, Some(song.id())), reused.id());
    let mut expected = vec![kind(WebhookEvent::Split)(&split), (WebhookEvent::Split, Some(id))];
    expected.extend([kind(WebhookEvent::Failed)(&failed), kind(WebhookEvent::Deleted)(&split)]);
    expected.sort_unstable();
    assert_eq!(events(&place.songs().await, all.id).await, expected);
    assert_eq!(events(&songs, failures.id).await, [kind(WebhookEvent::Failed)(&failed)]);
    assert_eq!(events(&songs, foreign.id).await, [kind(WebhookEvent::Split)(&foreign_song)]);
    let delivery = hooks(&songs).deliveries(failures.id, 1).await.unwrap().remove(0);
    assert_eq!(delivery.song.unwrap().failure_reason.as_deref(), Some("too „loud“"));
}

pub async fn retried_song_becomes_a_delivery_when_it_is_split(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let failed = admitted(&songs, Some(user), "a").await;
    songs.advance(failed.hash(), &Advance::Fail(FailureReason::new("no"))).await.unwrap();
    let webhook = stored(&songs, webhook(user, 0)).await;
    songs.retry(failed.id()).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [], "it waits");
    songs.advance(failed.hash(), &Advance::FINISH_MP3).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [(WebhookEvent::Split, Some(failed.id()))]);
}

pub async fn song_split_again_becomes_a_delivery(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let song = admitted(&songs, Some(user), "a").await;
    songs.advance(song.hash(), &Advance::FINISH_MP3).await.unwrap();
    let webhook = stored(&songs, webhook(user, 0)).await;
    let first = Target::default_of(*song.hash());
    let further = Target { model: Some("best".parse().unwrap()), key: hash("a by best"), ..first.clone() };
    songs.split_again(song.id(), &further).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [], "it waits");
    songs.advance(&further.key, &Advance::FINISH_MP3).await.unwrap();
    let split = (WebhookEvent::Split, Some(song.id()));
    assert_eq!(events(&songs, webhook.id).await, [split]);
    songs.split_again(song.id(), &first).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [split, split], "to stems that are stored");
}

pub async fn delivery_is_claimed_once_until_its_claim_expires(place: &impl SongsPlace) {
    let (one, other) = (place.songs().await, place.songs().await);
    let webhook = stored(&one, webhook(place.user().await, 0)).await;
    let delivery = ping(&one, &webhook, 0).await;
    let claims = (0..8).map(|at| claim(if at % 2 == 0 { &one } else { &other }, 10, at_us(0)));
    let claimed: Vec<_> = join_all(claims).await.concat();
    assert_eq!(ids(&claimed), [delivery.id]);
    assert_eq!((shown(&claimed[0].webhook), &claimed[0].delivery), (shown(&webhook), &delivery));
    // One at a time for each webhook.
    ping(&one, &webhook, 1).await;
    assert_eq!(ids(&claim(&other, 10, at_us(59_999_999)).await), []);
    assert_eq!(ids(&claim(&other, 10, at_us(60_000_000)).await), [delivery.id]);
}

pub async fn webhooks_take_turns(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let (busy, quiet) = (stored(&songs, webhook(user, 0)).await, stored(&songs, webhook(user, 0)).await);
    let mut pings = Vec::new();
    for number in 0..3 {
        pings.push(ping(&songs, &busy, number).await);
    }
    for (round, expected) in (0..).zip([&pings[0], &pings[1]]) {
        let claimed = claim(&songs, 1, at_us(round)).await;
        assert_eq!(ids(&claimed), [expected.id], "the oldest first");
        let after = claimed[0].delivery.after(at_us(round), Ok(200));
        assert!(hooks(&songs).record_attempt(&after, &Health::default()).await.unwrap());
    }
    let other = ping(&songs, &quiet, 9).await;
    assert_eq!(ids(&claim(&songs, 1, at_us(3)).await), [other.id], "it was not attempted yet");
    assert_eq!(ids(&claim(&songs, 1, at_us(4)).await), [pings[2].id]);
}

pub async fn attempt_is_recorded_once(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let webhook = stored(&songs, webhook(place.user().await, 0)).await;
    let delivery = ping(&songs, &webhook, 0).await;
    claim(&songs, 1, at_us(0)).await;
    let failed = delivery.after(at_us(5), Ok(500));
    let health = Health::default().after(&failed, at_us(5));
    assert!(hooks(&songs).record_attempt(&failed, &health).await.unwrap());
    assert_eq!(hooks(&songs).deliveries(webhook.id, 9).await.unwrap(), std::slice::from_ref(&failed));
    assert_eq!(hooks(&songs).webhooks_of(webhook.user).await.unwrap()[0].health, health);
    // From a server whose claim expired.
    assert!(!hooks(&songs).record_attempt(&delivery.after(at_us(6), Ok(200)), &Health::default()).await.unwrap());
    assert_eq!(hooks(&songs).deliveries(webhook.id, 9).await.unwrap(), std::slice::from_ref(&failed));
    assert_eq!(hooks(&songs).webhooks_of(webhook.user).await.unwrap()[0].health, health);

    let due = failed.next_attempt_at.unwrap();
    assert_eq!(ids(&claim(&songs, 1, due - time::Duration::microseconds(1)).await), []);
    let again = claim(&place.songs().await, 1, due).await.remove(0);
    assert_eq!((&again.delivery, again.webhook.health), (&failed, health));
    let delivered = again.delivery.after(due, Ok(200));
    assert!(hooks(&songs).record_attempt(&delivered, &Health::default()).await.unwrap());
    assert_eq!(hooks(&songs).deliveries(webhook.id, 9).await.unwrap(), [delivered]);
    assert_eq!(ids(&claim(&songs, 1, at_us(i64::from(u32::MAX))).await), []);
}

pub async fn disabled_webhook_gets_nothing_until_it_is_enabled(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let webhook = stored(&songs, webhook(user, 0)).await;
    let (first, second) = (ping(&songs, &webhook, 1).await, ping(&songs, &webhook, 2).await);
    claim(&songs, 1, at_us(0)).await;
    let failed = first.after(at_us(5), Ok(410));
    let health = Health::default().after(&failed, at_us(5));
    assert!(hooks(&songs).record_attempt(&failed, &health).await.unwrap());
    let ended = Delivery { next_attempt_at: None, error: Some(DISABLED.to_owned()), ..second };
    assert_eq!(hooks(&songs).deliveries(webhook.id, 9).await.unwrap(), [ended, failed]);
    assert_eq!(ids(&claim(&songs, 9, at_us(i64::from(u32::MAX))).await), []);
    let song = admitted(&songs, Some(user), "a").await;
    songs.advance(song.hash(), &Advance::FINISH_MP3).await.unwrap();
    assert_eq!(hooks(&songs).deliveries(webhook.id, 9).await.unwrap().len(), 2);

    assert!(!hooks(&songs).enable_webhook(place.user().await, webhook.id).await.unwrap(), "another user");
    assert!(hooks(&songs).enable_webhook(user, webhook.id).await.unwrap());
    assert_eq!(hooks(&songs).webhooks_of(user).await.unwrap()[0].health, Health::default());
    songs.remove(song.id()).await.unwrap();
    let claimed = claim(&songs, 9, at_us(i64::from(u32::MAX))).await;
    assert_eq!(claimed.iter().map(|one| one.delivery.event).collect::<Vec<_>>(), [WebhookEvent::Deleted]);
}

pub async fn trashed_song_tells_webhooks_once(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let webhook = stored(&songs, webhook(user, 0)).await;
    let song = admitted(&songs, Some(user), "a").await.id();
    let deleted = (WebhookEvent::Deleted, Some(song));
    songs.trash(song, at_us(0)).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [deleted]);
    songs.restore(song).await.unwrap();
    songs.trash(song, at_us(0)).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [deleted, deleted], "deleted again");
    songs.remove(song).await.unwrap();
    assert_eq!(events(&songs, webhook.id).await, [deleted, deleted]);
}

pub async fn deleted_webhook_has_no_deliveries(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let webhook = stored(&songs, webhook(user, 0)).await;
    ping(&songs, &webhook, 0).await;
    let claimed = claim(&songs, 1, at_us(0)).await.remove(0);
    assert!(!hooks(&songs).delete_webhook(place.user().await, webhook.id).await.unwrap(), "another user");
    assert!(hooks(&songs).delete_webhook(user, webhook.id).await.unwrap());
    assert!(!hooks(&songs).delete_webhook(user, webhook.id).await.unwrap(), "a repeat");
    let late = claimed.delivery.after(at_us(1), Ok(200));
    assert!(!hooks(&songs).record_attempt(&late, &Health::default()).await.unwrap());
    assert_eq!(hooks(&songs).deliveries(webhook.id, 9).await.unwrap(), []);
    assert_eq!(ids(&claim(&songs, 9, at_us(i64::from(u32::MAX))).await), []);
    let orphan = Delivery::new(webhook.id, WebhookEvent::Ping, None, at_us(0));
    let refused = hooks(&songs).insert_delivery(&orphan).await;
    assert!(matches!(refused, Err(RepositoryError::Conflict)), "{refused:?}");
}

pub async fn old_deliveries_are_deleted(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    let (one, other) = (stored(&songs, webhook(user, 0)).await, stored(&songs, webhook(user, 0)).await);
    let pending = ping(&songs, &one, 0).await;
    let mut ended = Vec::new();
    for (webhook, created_at) in [(&one, 1), (&one, 2), (&one, 3), (&one, 4), (&other, 5)] {
        let delivery = Delivery::new(webhook.id, WebhookEvent::Ping, None, at_us(created_at)).after(at_us(9), Ok(200));
        hooks(&songs).insert_delivery(&delivery).await.unwrap();
        ended.push(delivery);
    }
    assert_eq!(hooks(&songs).forget_deliveries(at_us(2), 100).await.unwrap(), 1, "the old one");
    assert_eq!(hooks(&songs).forget_deliveries(at_us(2), 2).await.unwrap(), 1, "one too many");
    let kept = hooks(&songs).deliveries(one.id, 100).await.unwrap();
    assert_eq!(kept, [ended[3].clone(), ended[2].clone(), pending]);
    assert_eq!(hooks(&songs).deliveries(other.id, 100).await.unwrap(), ended[4..]);
}

pub async fn backlog_is_what_is_left_to_deliver(place: &impl SongsPlace) {
    let (songs, user) = (place.songs().await, place.user().await);
    assert_eq!(hooks(&songs).backlog().await.unwrap(), Backlog::default());
    let webhook = stored(&songs, webhook(user, 0)).await;
    let (first, second) = (ping(&songs, &webhook, 7).await, ping(&songs, &webhook, 8).await);
    assert_eq!(
        hooks(&songs).backlog().await.unwrap(),
        Backlog { pending: 2, oldest: Some(first.created_at), disabled: 0 }
    );
    hooks(&songs).record_attempt(&first.after(at_us(9), Ok(200)), &Health::default()).await.unwrap();
    let left = Backlog { pending: 1, oldest: Some(second.created_at), disabled: 0 };
    assert_eq!(hooks(&songs).backlog().await.unwrap(), left);
    let failed = second.after(at_us(9), Ok(410));
    assert_eq!(failed.status(), DeliveryStatus::Failed);
    hooks(&songs).record_attempt(&failed, &Health::default().after(&failed, at_us(9))).await.unwrap();
    assert_eq!(hooks(&songs).backlog().await.unwrap(), Backlog { pending: 0, oldest: None, disabled: 1 });
}
