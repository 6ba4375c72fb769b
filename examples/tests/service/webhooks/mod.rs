//! Webhooks: a real server, a real database and real receivers.

pub(crate) mod receiver;

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};
use vocalizer::service::WebhookPolicy;
use vocalizer_client::webhooks::{TOLERANCE, VerifyError, verify};
use vocalizer_client::{Secret, WebhookEvent, WebhookPayload};
use vocalizer_core::account::Viewer;
use vocalizer_core::limits::Limits;

use self::receiver::{Received, Receiver, Reply};
use super::server::{Server, admin, sql};
use super::support::{Browser, Service, Settings, id, song};

const ALLOWED: WebhookPolicy = WebhookPolicy { allow_private: true, allow_http: true };

fn settings(webhooks: WebhookPolicy) -> Settings {
    Settings { background: true, webhooks, ..Settings::default() }
}

/// A service that may reach receivers on loopback, and a user of it.
async fn service() -> (Service, Browser) {
    let service = Service::with(settings(ALLOWED)).await;
    let ada = Browser::registered(&service, "ada").await;
    (service, ada)
}

/// Creates a webhook and returns its ID and secret.
async fn create(browser: &Browser, url: &str, events: &str) -> (String, Secret<String>) {
    let created = browser.post("/webhooks", &[("url", url), ("events", events)]).await.data();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&created["webhook"]["id"]), text(&created["secret"]).into())
}

fn verified(secret: &Secret<String>, request: &Received) -> WebhookPayload {
    verify(secret, &request.headers, &request.body, TOLERANCE).unwrap()
}

async fn deliveries(browser: &Browser, webhook: &str) -> Vec<Value> {
    let data = browser.get(&format!("/webhooks/{webhook}/deliveries")).await.data();
    data["deliveries"].as_array().unwrap().clone()
}

/// Waits until the newest delivery of a webhook meets a condition.
async fn delivery(browser: &Browser, webhook: &str, is_met: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..3000 {
        if let Some(newest) = deliveries(browser, webhook).await.first().filter(|newest| is_met(newest)) {
            return newest.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no such delivery: {:?}", deliveries(browser, webhook).await);
}

/// Makes all deliveries due, instead of waiting for the pause after a failure.
fn make_due(service: &Service) {
    sql(&service.database(), "UPDATE deliveries SET next_attempt_at_us = 0 WHERE next_attempt_at_us IS NOT NULL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_signed_with_the_song() {
    let (_service, ada) = service().await;
    let receiver = Receiver::start(&[Reply::Status(204)]).await;
    let (webhook, secret) = create(&ada, &receiver.url(), "").await;
    let uploaded = ada.upload("Für Elise", &song(1)).await;
    let split = ada.until(&uploaded, "SPLIT").await;
    let request = receiver.until(1).await.remove(0);
    let payload = verified(&secret, &request);
    assert_eq!(payload.event, WebhookEvent::Split);
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["webhook-id"], payload.id.to_string().as_str());
    let detailed = ada.get(&format!("/songs/{}?details=1", id(&split))).await.data()["song"].clone();
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap()["data"], json!({"song": detailed}));
    let arrived = delivery(&ada, &webhook, |one| one["status"] == "delivered").await;
    assert_eq!(arrived["id"], payload.id.to_string());
    assert_eq!((&arrived["song_id"], &arrived["status_code"]), (&split["id"], &json!(204)));
    assert_eq!(
        (&arrived["attempts"], &arrived["error"], &arrived["next_attempt_at"]),
        (&json!(1), &Value::Null, &Value::Null)
    );

    ada.delete(&format!("/songs/{}", id(&split))).await.data();
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.data();
    let payloads: Vec<_> = receiver.until(3).await.iter().map(|request| verified(&secret, request)).collect();
    let mut events: Vec<_> = payloads.iter().map(|payload| payload.event).collect();
    events.sort_unstable();
    assert_eq!(events, [WebhookEvent::Split, WebhookEvent::Deleted, WebhookEvent::Ping]);
    let of_other = format!("whsec_{}", "00ff".repeat(16)).into();
    let refused = verify(&of_other, &request.headers, &request.body, TOLERANCE);
    assert!(matches!(refused, Err(VerifyError::Signature)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chosen_events_of_own_songs_are_told() {
    let (service, ada) = service().await;
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let (webhook, secret) = create(&ada, &receiver.url(), "song.failed, song.deleted").await;
    let bob = Browser::registered(&service, "bob").await;
    let of_bob = bob.upload("Bob's", &song(1)).await;
    bob.until(&of_bob, "SPLIT").await;
    bob.delete(&format!("/songs/{}", id(&of_bob))).await.data();
    service.separator.failures.store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
    let uploaded = ada.upload("Ada's", &song(2)).await;
    ada.until(&uploaded, "FAILED").await;
    let payload = verified(&secret, &receiver.until(1).await[0]);
    let song = payload.data.song.unwrap();
    assert_eq!((payload.event, song.id.to_string()), (WebhookEvent::Failed, id(&uploaded).to_owned()));
    assert!(song.failure_reason.is_some());
    assert_eq!(deliveries(&ada, &webhook).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_delivery_is_repeated_with_the_same_id() {
    let (service, ada) = service().await;
    let receiver = Receiver::start(&[Reply::Status(500), Reply::Status(200)]).await;
    let (webhook, secret) = create(&ada, &receiver.url(), "").await;
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.data();
    let failed = delivery(&ada, &webhook, |one| one["attempts"] == 1).await;
    assert_eq!((&failed["status"], &failed["status_code"]), (&json!("pending"), &json!(500)));
    assert!(failed["error"] == "status 500" && failed["next_attempt_at"].is_string(), "{failed}");
    assert!(ada.get("/webhooks").await.data()["webhooks"][0]["failing_since"].is_string());
    // A second ping waits for the first one.
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.refused(409, "conflict");
    make_due(&service);
    let arrived = delivery(&ada, &webhook, |one| one["status"] == "delivered").await;
    assert_eq!((&arrived["attempts"], &arrived["error"]), (&json!(2), &Value::Null));
    let requests = receiver.until(2).await;
    assert_eq!(verified(&secret, &requests[0]), verified(&secret, &requests[1]));
    assert_eq!(ada.get("/webhooks").await.data()["webhooks"][0]["failing_since"], Value::Null);
    let metrics = String::from_utf8(ada.get("/metrics").await.bytes.to_vec()).unwrap();
    for line in [
        r#"vocalizer_webhook_attempts_total{result="ok"} 1"#,
        r#"vocalizer_webhook_attempts_total{result="failed"} 1"#,
        "vocalizer_webhook_pending 0",
        "vocalizer_webhook_oldest_pending_seconds 0",
        "vocalizer_webhooks_disabled 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn receivers_that_hang_redirect_or_never_end_harm_nothing() {
    let was_tried = |one: &Value| one["attempts"].as_u64() >= Some(1);
    let (_service, ada) = service().await;
    let target = Receiver::start(&[Reply::Status(200)]).await;
    let receivers = [
        Receiver::start(&[Reply::Hang]).await,
        Receiver::start(&[Reply::Redirect(target.url())]).await,
        Receiver::start(&[Reply::Endless]).await,
    ];
    let mut webhooks = Vec::new();
    for receiver in &receivers {
        let (webhook, _) = create(&ada, &receiver.url(), "").await;
        ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.data();
        webhooks.push(webhook);
    }
    let redirected = delivery(&ada, &webhooks[1], was_tried).await;
    assert_eq!((&redirected["status_code"], &redirected["status"]), (&json!(307), &json!("pending")));
    assert_eq!(redirected["error"], "status 307: redirects are not followed");
    assert_eq!(target.connections(), 0);
    let endless = delivery(&ada, &webhooks[2], was_tried).await;
    assert_eq!((&endless["status_code"], &endless["status"]), (&json!(200), &json!("delivered")));
    // What fits into the buffers of the connection.
    assert!(receivers[2].sent_bytes() < 32 * 1024 * 1024, "{}", receivers[2].sent_bytes());
    let hanging = delivery(&ada, &webhooks[0], was_tried).await;
    assert_eq!((&hanging["status_code"], &hanging["status"]), (&Value::Null, &json!("pending")));
    assert_eq!(hanging["error"], "no response within 10 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_not_public_are_refused() {
    let service = Service::with(settings(WebhookPolicy { allow_private: false, allow_http: true })).await;
    let ada = Browser::registered(&service, "ada").await;
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    for url in [
        receiver.url().as_str(),
        service.url("/songs/upload").as_str(),
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://ada:secret@example.org/",
        "ftp://example.org/",
        "example.org",
        "",
    ] {
        let answer = ada.post("/webhooks", &[("url", url)]).await;
        answer.refused_field(422, "invalid", "url");
    }
    ada.post("/webhooks", &[("url", "https://example.org"), ("events", "song.sung")])
        .await
        .refused_field(422, "invalid", "events");
    // Names are resolved at each attempt.
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let (webhook, _) = create(&ada, &url, "").await;
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.data();
    let refused = delivery(&ada, &webhook, |one| one["attempts"] == 1).await;
    assert_eq!((&refused["error"], &refused["status_code"]), (&json!("the address is not public"), &Value::Null));
    assert_eq!(receiver.connections(), 0);
    drop(service);

    let service = Service::with(settings(WebhookPolicy::default())).await;
    let ada = Browser::registered(&service, "ada").await;
    let message = ada.post("/webhooks", &[("url", "http://example.org/")]).await.refused_field(422, "invalid", "url");
    assert!(message.contains("https://"), "{message}");
    create(&ada, "https://example.org/", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_belong_to_their_user() {
    let (service, ada) = service().await;
    let (webhook, secret) = create(&ada, "https://example.org/", "song.split").await;
    let listed = ada.get("/webhooks").await.data();
    assert_eq!(listed["webhooks"][0]["id"], webhook.as_str());
    assert_eq!(listed["webhooks"][0]["events"], json!(["song.split"]));
    assert!(!listed.to_string().contains(secret.expose().as_str()), "{listed}");
    let at = format!("/webhooks/{webhook}");
    let bob = Browser::registered(&service, "bob").await;
    assert_eq!(bob.get("/webhooks").await.data()["webhooks"], json!([]));
    bob.get(&format!("{at}/deliveries")).await.refused(404, "not_found");
    bob.post(&format!("{at}/test"), &[]).await.refused(404, "not_found");
    bob.post(&format!("{at}/enable"), &[]).await.refused(404, "not_found");
    bob.delete(&at).await.refused(404, "not_found");
    let anyone = Browser::new(&service);
    anyone.get("/webhooks").await.refused(401, "unauthenticated");
    anyone.post("/webhooks", &[("url", "https://example.org/")]).await.refused(401, "unauthenticated");
    anyone.delete(&at).await.refused(401, "unauthenticated");
    // A token is enough.
    let token = ada.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    Browser::send(anyone.request(Method::GET, &format!("{at}/deliveries")).bearer_auth(&token)).await.data();
    Browser::send(anyone.request(Method::DELETE, &at).bearer_auth(&token)).await.data();
    ada.delete(&at).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_a_user_are_limited() {
    let limits = Limits { max_webhooks: 1, ..Limits::default() };
    let service = Service::with(Settings { limits, ..settings(ALLOWED) }).await;
    let ada = Browser::registered(&service, "ada").await;
    assert_eq!(ada.get("/limits").await.data()["limits"]["max_webhooks"], 1);
    let (webhook, _) = create(&ada, "https://example.org/", "").await;
    ada.post("/webhooks", &[("url", "https://example.org/")]).await.refused(409, "conflict");
    ada.delete(&format!("/webhooks/{webhook}")).await.data();
    create(&ada, "https://example.org/", "").await;
    drop(service);

    let limits = Limits { max_webhooks: 0, ..Limits::default() };
    let service = Service::with(Settings { limits, ..settings(ALLOWED) }).await;
    let ada = Browser::registered(&service, "ada").await;
    ada.post("/webhooks", &[("url", "https://example.org/")]).await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_webhook_gets_nothing() {
    let (service, ada) = service().await;
    let receiver = Receiver::start(&[Reply::Status(500)]).await;
    let (webhook, _) = create(&ada, &receiver.url(), "").await;
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.data();
    delivery(&ada, &webhook, |one| one["attempts"] == 1).await;
    ada.delete(&format!("/webhooks/{webhook}")).await.data();
    make_due(&service);
    // A later webhook gets its ping, so the earlier one was passed over.
    let other = Receiver::start(&[Reply::Status(200)]).await;
    let (webhook, _) = create(&ada, &other.url(), "").await;
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.data();
    delivery(&ada, &webhook, |one| one["status"] == "delivered").await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_that_fails_for_days_is_disabled_visibly() {
    let (service, ada) = service().await;
    let receiver = Receiver::start(&[Reply::Status(500), Reply::Status(200)]).await;
    let (webhook, _) = create(&ada, &receiver.url(), "").await;
    let days = 24 * 60 * 60 * 1_000_000;
    let now_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    // As if four deliveries had been given up in four days, and the fifth had been tried for a day.
    let ago = |span: u128| now_us - span;
    sql(&service.database(), &format!("UPDATE webhooks SET given_up = 4, failing_since_us = {}", ago(4 * days)));
    sql(
        &service.database(),
        &format!(
            "INSERT INTO deliveries (id, webhook_id, event, created_at_us, attempts, first_attempt_at_us, attempted_at_us, \
             next_attempt_at_us, error) VALUES ('00000000-0000-4000-8000-000000000000', '{webhook}', 'ping', 1, 9, {0}, {0}, \
             0, 'status 500')",
            ago(days)
        ),
    );
    let given_up = delivery(&ada, &webhook, |one| one["attempts"] == 10).await;
    assert_eq!((&given_up["status"], &given_up["error"]), (&json!("failed"), &json!("status 500")));
    let shown = ada.get("/webhooks").await.data()["webhooks"][0].clone();
    assert!(shown["disabled_at"].is_string() && shown["failing_since"].is_string(), "{shown}");
    ada.post(&format!("/webhooks/{webhook}/test"), &[]).await.refused(409, "conflict");
    let uploaded = ada.upload("x", &song(1)).await;
    ada.until(&uploaded, "SPLIT").await;
    assert_eq!(deliveries(&ada, &webhook).await.len(), 1);

    let enabled = ada.post(&format!("/webhooks/{webhook}/enable"), &[]).await.data()["webhook"].clone();
    assert_eq!((&enabled["disabled_at"], &enabled["failing_since"]), (&Value::Null, &Value::Null));
    ada.delete(&format!("/songs/{}", id(&uploaded))).await.data();
    let arrived = delivery(&ada, &webhook, |one| one["status"] == "delivered").await;
    assert_eq!(arrived["event"], "song.deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_a_killed_server_is_delivered_after_its_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let variables = [("WEBHOOK_ALLOW_PRIVATE", "true"), ("WEBHOOK_ALLOW_HTTP", "true"), ("RUST_LOG", "debug")];
    // A port where nothing listens until the server is dead.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/songs?key=hidden-in-the-address");
    let server = Server::start_with(&data, &variables);
    let ada = server.browser();
    ada.register("ada", "correct horse").await.data();
    let (_, secret) = create(&ada, &url, "").await;
    let uploaded = ada.upload("x", &song(1)).await;
    ada.delete(&format!("/songs/{}", id(&uploaded))).await.data();
    // SIGKILL.
    drop(server);
    sql(&data.join("vocalizer.db"), "UPDATE deliveries SET next_attempt_at_us = 0");
    sql(&data.join("vocalizer.db"), "UPDATE webhooks SET claimed_until_us = NULL");
    let receiver = Receiver::on(tokio::net::TcpListener::bind(address).await.unwrap(), &[Reply::Status(200)]);
    let server = Server::start_with(&data, &variables);
    let payload = verified(&secret, &receiver.until(1).await[0]);
    let song = payload.data.song.unwrap();
    assert_eq!((payload.event, song.id.to_string()), (WebhookEvent::Deleted, id(&uploaded).to_owned()));
    server.wait_for_log(&["webhook delivered"]).await;
    let log = server.log();
    assert!(!log.contains("hidden-in-the-address") && !log.contains("whsec_"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_a_disabled_user_wait_until_the_user_is_enabled() {
    let (service, ada) = service().await;
    let receiver = Receiver::start(&[Reply::Status(204)]).await;
    let (webhook, secret) = create(&ada, &receiver.url(), "").await;
    let uploaded = ada.upload("Für Elise", &song(1)).await;
    ada.until(&uploaded, "SPLIT").await;
    receiver.until(1).await;
    delivery(&ada, &webhook, |one| one["status"] == "delivered").await;
    let data = service.database().parent().unwrap().to_owned();
    let operator = async |command: &'static str| {
        let data = data.clone();
        let output = tokio::task::spawn_blocking(move || admin(&data, &["users", command, "ada"])).await.unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    operator("disable").await;
    let id = id(&uploaded).parse().unwrap();
    service.songs.delete(Viewer::User(uploaded["uploader_id"].as_str().unwrap().parse().unwrap()), id).await.unwrap();
    let metrics = || async {
        let bytes = Browser::new(&service).get("/metrics").await.bytes;
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert!(metrics().await.lines().any(|line| line == "vocalizer_webhook_pending 0"), "{}", metrics().await);
    let repository = service.songs.repository().webhooks().unwrap();
    let now = service.songs.clock().now();
    let claimed = repository.claim_deliveries(9, Duration::from_secs(1), now).await.unwrap();
    assert!(claimed.is_empty(), "{claimed:?}");
    assert_eq!(receiver.until(1).await.len(), 1, "nothing was sent to a disabled user");
    operator("enable").await;
    let deleted = receiver.until(2).await.remove(1);
    assert_eq!(verified(&secret, &deleted).event, WebhookEvent::Deleted);
}
