//! Users who share songs and are told about them while faults happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use vocalizer_client::webhooks::verify;
use vocalizer_client::{
    Client, ErrorCode, Part, Secret, Share, ShareId, SongId, SongStatus, SongView, SplitWith, Upload, UserId,
    WebhookEvent,
};

use super::place::{Place, TIMEOUT};
use crate::support::{song, stems};
use crate::webhooks::receiver::{Received, Receiver, Reply};

/// Longer than a test: calls are verified at its end.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// A user with a webhook.
struct Guest {
    client: Client,
    token: Secret<String>,
    id: UserId,
    webhook_secret: Secret<String>,
    receiver: Option<Receiver>,
    replies: Vec<Reply>,
    /// What earlier receivers accepted.
    heard: Vec<Received>,
}

impl Guest {
    async fn register(address: &str, name: &str, replies: Vec<Reply>) -> Self {
        let base = Client::builder(format!("http://{address}")).with_retries(10, Duration::from_millis(100));
        let session = base.build().unwrap();
        session.register(name, &Secret::new("correct horse".to_owned())).await.unwrap();
        let token = session.create_token("chaos", None).await.unwrap().secret;
        let client = session.with_token(token.clone()).unwrap();
        let receiver = Receiver::start(&replies).await;
        let webhook = client.create_webhook(&receiver.url(), &[]).await.unwrap();
        let id = client.me().await.unwrap().unwrap().id;
        let (webhook_secret, receiver) = (webhook.secret, Some(receiver));
        Self { client, token, id, webhook_secret, receiver, replies, heard: Vec::new() }
    }

    /// Stops the receiver for a while.
    async fn miss_calls(&mut self, lasts: Duration) {
        self.heard = self.accepted();
        let address = self.receiver.take().unwrap().address;
        tokio::time::sleep(lasts).await;
        let listener = TcpListener::bind(address).await.unwrap();
        self.receiver = Some(Receiver::on(listener, &self.replies));
    }

    /// Returns the calls that were answered with success.
    fn accepted(&self) -> Vec<Received> {
        let received = self.receiver.as_ref().map(Receiver::received).unwrap_or_default();
        let replies = self.replies.iter().chain(self.replies.last().into_iter().cycle());
        let answered = received.into_iter().zip(replies);
        let accepted = answered.filter_map(|(call, reply)| matches!(reply, Reply::Status(204)).then_some(call));
        self.heard.iter().cloned().chain(accepted).collect()
    }

    /// Returns how often each event was told. All accepted calls are signed, and of songs of this user.
    fn told(&self) -> BTreeMap<(SongId, WebhookEvent), u32> {
        let mut told = BTreeMap::new();
        for call in self.accepted() {
            let payload = verify(&self.webhook_secret, &call.headers, &call.body, LONG).unwrap();
            let song = payload.data.song.unwrap();
            assert_eq!(song.uploader_id, Some(self.id), "a call names a foreign song");
            *told.entry((song.id, payload.event)).or_default() += 1;
        }
        told
    }

    /// Waits until every song is finished, and each was told.
    async fn until_told(&self, deleted: &BTreeSet<SongId>) -> (Vec<SongView>, u32) {
        let began = Instant::now();
        loop {
            let (songs, told) = (self.client.songs().await.unwrap(), self.told());
            let event = |song: &SongView| match song.status {
                SongStatus::Split => Some((song.id, WebhookEvent::Split)),
                SongStatus::Failed => Some((song.id, WebhookEvent::Failed)),
                _ => None,
            };
            let finished: Vec<_> = songs.iter().filter_map(event).collect();
            let expected = finished.iter().copied().chain(deleted.iter().map(|&id| (id, WebhookEvent::Deleted)));
            let missing: Vec<_> = expected.filter(|event| !told.contains_key(event)).collect();
            if finished.len() == songs.len() && missing.is_empty() {
                return (songs, told.values().sum());
            }
            assert!(began.elapsed() < TIMEOUT, "not told: {missing:?}; songs: {songs:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A share link.
struct Link {
    song: SongId,
    id: ShareId,
    secret: Secret<String>,
    is_open: bool,
}

/// Ada, who uploads what the place uploads, and Bob, who uploads some of the same files.
pub(super) struct Guests {
    ada: Guest,
    bob: Guest,
    links: Vec<Link>,
    deleted: BTreeSet<SongId>,
}

/// Every third call fails.
fn unreliable() -> Vec<Reply> {
    (0..10_000).map(|number| Reply::Status(if number % 3 == 0 { 500 } else { 204 })).collect()
}

impl Guests {
    /// Registers both at a server. From now on the place uploads as Ada.
    pub(super) async fn new(place: &mut Place, address: &str) -> Self {
        let ada = Guest::register(address, "ada", unreliable()).await;
        let bob = Guest::register(address, "bob", vec![Reply::Status(204)]).await;
        place.token = Some(ada.token.expose().clone());
        Self { ada, bob, links: Vec::new(), deleted: BTreeSet::new() }
    }

    /// Uploads, shares, revokes, deletes and misses calls.
    pub(super) async fn act(&mut self, place: &mut Place, round: u32) {
        let Some(kept) = place.upload().await else { return };
        // The same file and model as Ada's: one job, two owners.
        let upload = Upload::from_bytes("Bob's", "x.wav", song(place.number()));
        let with = place.model_of(place.number()).map_or_else(SplitWith::default, SplitWith::model);
        self.bob.client.upload(upload.split_with(with)).await.unwrap();
        self.share(&kept).await;
        let revoked = self.share(&kept).await;
        self.ada.client.revoke_share(self.links[revoked].song, self.links[revoked].id).await.unwrap();
        self.links[revoked].is_open = false;
        if round.is_multiple_of(3)
            && let Some(doomed) = place.upload().await
        {
            let link = self.share(&doomed).await;
            let id = self.links[link].song;
            let detailed = serde_json::to_value(self.ada.client.song_in_detail(id).await.unwrap()).unwrap();
            self.ada.client.delete(id).await.unwrap();
            place.forget(&detailed);
            self.links[link].is_open = false;
            self.deleted.insert(id);
        }
        if round % 2 == 1 {
            self.ada.miss_calls(Duration::from_secs(2)).await;
        }
    }

    async fn share(&mut self, song: &Value) -> usize {
        let song = song["id"].as_str().unwrap().parse().unwrap();
        let created = self.ada.client.share(song, Share::new()).await.unwrap();
        self.links.push(Link { song, id: created.share.id, secret: created.secret, is_open: true });
        self.links.len() - 1
    }

    /// Waits until all songs are finished and told, and checks the links.
    pub(super) async fn settle(&self, place: &mut Place, fault: &str) {
        place.settle(fault).await;
        let (of_ada, calls_of_ada) = self.ada.until_told(&self.deleted).await;
        let (of_bob, calls_of_bob) = self.bob.until_told(&BTreeSet::new()).await;
        let (mut open, mut closed) = (0, 0);
        for link in self.links.iter().filter(|link| link.is_open) {
            let visitor = self.ada.client.with_token(link.secret.clone()).unwrap();
            let shared = visitor.shared().await.unwrap().song;
            assert_eq!(shared.id, link.song);
            if shared.status == SongStatus::Split {
                let vocals = visitor.download_bytes(link.song, Part::Vocals, 1_000_000).await.unwrap();
                assert_eq!(vocals, stems().vocals);
            }
            open += 1;
        }
        // More would be throttled as guesses.
        for link in self.links.iter().filter(|link| !link.is_open).take(20) {
            let visitor = self.ada.client.with_token(link.secret.clone()).unwrap();
            let error = visitor.shared().await.unwrap_err();
            assert!(error.has_code(ErrorCode::NotFound), "{error}");
            closed += 1;
        }
        eprintln!(
            "{fault}: {} faults, {} songs finished, {} calls, {} songs deleted, {open} links open, {closed} closed",
            place.kills,
            of_ada.len() + of_bob.len(),
            calls_of_ada + calls_of_bob,
            self.deleted.len(),
        );
    }
}
