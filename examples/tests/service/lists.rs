//! Song lists, titles, tokens, logout, and endpoints for operators.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::server::sql;
use super::support::{Browser, Service, Settings, id, song};

fn titles(data: &Value) -> Vec<&str> {
    data["songs"].as_array().unwrap().iter().map(|song| song["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn song_list_is_paginated_on_request() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let expected: Vec<String> = (0..7).rev().map(|number| format!("song {number}")).collect();
    for number in 0..7 {
        client.upload(&format!("song {number}"), &song(number)).await;
    }
    let whole = client.get("/songs/").await.data();
    assert_eq!(titles(&whole), expected);
    assert_eq!(whole.get("next"), None, "the list is complete");
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/songs/?limit=3{after}")).await.data();
        seen.extend(titles(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    for bad in ["limit=0", "limit=1001", "limit=x", "limit=-1", "status=NOT_FOUND", "status=split", "after=x"] {
        let field = bad.split('=').next().unwrap();
        client.get(&format!("/songs/?{bad}")).await.refused_field(422, "invalid", field);
    }
}

/// Without paging parameters, a response has at most one page and a link to the next.
#[tokio::test]
async fn song_list_without_limit_is_bounded() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    client.upload("newest", &song(1)).await;
    // Insert 1,500 rows, each older than the one before.
    sql(
        &service.database(),
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1500) \
         INSERT INTO songs (id, title, hash, result_key, shown_key, uploader, uploaded_at_us, status) \
         SELECT printf('00000000-0000-4000-8000-%012x', n), 'song ' || n, hash, hash, hash, uploader, uploaded_at_us - n, 'SPLIT' \
         FROM songs, numbers",
    );
    let first = client.get("/songs/").await;
    assert!(first.bytes.len() < 512 * 1024, "{} bytes", first.bytes.len());
    let first = first.data();
    let (seen, next) = (titles(&first), first["next"].as_str().unwrap());
    assert_eq!((seen.len(), seen[0], seen[1], seen[999]), (1000, "newest", "song 1", "song 999"));
    let second = client.get(&format!("/songs/?after={next}")).await.data();
    let seen = titles(&second);
    assert_eq!((seen.len(), seen[0], seen[500]), (501, "song 1000", "song 1500"));
    assert_eq!(second.get("next"), None);
    let split = client.get("/songs/?status=SPLIT&limit=1000").await.data();
    assert_eq!((titles(&split).len(), split["next"].is_string()), (1000, true));
    assert_eq!(titles(&client.get("/songs/?status=UPLOADED").await.data()), ["newest"]);
}

#[tokio::test]
async fn song_list_filters_by_status() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let first = client.upload("split", &song(1)).await;
    client.upload("waiting", &song(2)).await;
    client.result(&first, super::support::archive()).await.data();
    assert_eq!(titles(&client.get("/songs/?status=SPLIT").await.data()), ["split"]);
    assert_eq!(titles(&client.get("/songs/?status=UPLOADED").await.data()), ["waiting"]);
    assert_eq!(titles(&client.get("/songs/?status=FAILED").await.data()), Vec::<&str>::new());
}

#[tokio::test]
async fn owner_can_rename_song_and_others_get_404() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let hers = ada.upload("before", &song(1)).await;
    let path = format!("/songs/{}", id(&hers));
    let rename = |browser: &Browser, title: &str| {
        Browser::send(browser.request(Method::PATCH, &path).json(&json!({"title": title})))
    };
    assert_eq!(rename(&ada, " after ").await.data()["song"]["title"], "after");
    rename(&bob, "mine").await.refused(404, "not_found");
    rename(&ada, "").await.refused_field(422, "invalid", "title");
    rename(&ada, "a\u{202e}b").await.refused_field(422, "invalid", "title");
    assert_eq!(ada.get(&path).await.data()["song"]["title"], "after");
}

#[tokio::test]
async fn token_acts_for_owner_until_revoked() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let made = ada.post("/auth/tokens", &[("name", "laptop")]).await.data();
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("vct_"));
    let anonymous = Browser::new(&service);
    let by_token = |method: Method, path: &str| Browser::send(anonymous.request(method, path).bearer_auth(&secret));
    assert_eq!(by_token(Method::GET, "/auth/me").await.data()["user"]["username"], "ada");
    let hers = ada.upload("hers", &song(1)).await;
    assert_eq!(titles(&by_token(Method::GET, "/songs/").await.data()), ["hers"]);
    by_token(Method::GET, "/auth/tokens").await.refused(401, "unauthenticated");
    by_token(Method::POST, "/auth/password").await;

    let listed = ada.get("/auth/tokens").await;
    assert!(!String::from_utf8_lossy(&listed.bytes).contains(&secret), "the secret is shown only once");
    let token = &listed.data()["tokens"][0];
    assert_eq!((&token["name"], &token["expires_at"]), (&json!("laptop"), &Value::Null));
    let bob = Browser::registered(&service, "bob").await;
    let path = format!("/auth/tokens/{}", token["id"].as_str().unwrap());
    bob.delete(&path).await.refused(404, "not_found");
    ada.delete(&path).await.data();
    ada.delete(&path).await.refused(404, "not_found");
    by_token(Method::GET, &format!("/songs/{}", id(&hers))).await.refused(401, "unauthenticated");
    let as_cookie = anonymous.request(Method::GET, "/auth/me").header("cookie", format!("session={secret}"));
    assert_eq!(Browser::send(as_cookie).await.data()["user"], Value::Null);
}

#[tokio::test]
async fn password_change_ends_other_sessions_and_tokens() {
    let service = Service::idle().await;
    let (here, there) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    there.login("ada", "correct horse").await.data();
    let token = here.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    let change = |old: &'static str| {
        let fields = [("old_password", old), ("password1", "battery staple"), ("password2", "battery staple")];
        let here = here.clone();
        async move { here.post("/auth/password", &fields).await }
    };
    change("wrong").await.refused(401, "unauthenticated");
    change("correct horse").await.data();
    assert_eq!(here.get("/auth/me").await.data()["user"]["username"], "ada");
    assert_eq!(there.get("/auth/me").await.data()["user"], Value::Null);
    Browser::send(there.request(Method::GET, "/auth/me").bearer_auth(token)).await.refused(401, "unauthenticated");
    assert_eq!(here.get("/auth/tokens").await.data()["tokens"], json!([]));
    there.login("ada", "correct horse").await.refused(401, "unauthenticated");
    there.login("ada", "battery staple").await.data();
}

#[tokio::test]
async fn logout_everywhere_ends_all_sessions_and_tokens() {
    let service = Service::idle().await;
    let (here, there) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    there.login("ada", "correct horse").await.data();
    let bob = Browser::registered(&service, "bob").await;
    let token = here.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    let by_token = |method, path| Browser::send(bob.request(method, path).bearer_auth(&token));
    by_token(Method::POST, "/auth/logout_everywhere").await.refused(401, "unauthenticated");
    Browser::new(&service).post("/auth/logout_everywhere", &[]).await.refused(401, "unauthenticated");
    let ended = here.post("/auth/logout_everywhere", &[]).await;
    assert_eq!(ended.data(), Value::Null);
    assert!(ended.header("set-cookie").starts_with("session=;"), "{ended:?}");
    for browser in [&here, &there] {
        assert_eq!(browser.get("/auth/me").await.data()["user"], Value::Null);
    }
    by_token(Method::GET, "/auth/me").await.refused(401, "unauthenticated");
    assert_eq!(bob.get("/auth/me").await.data()["user"]["username"], "bob");
    here.login("ada", "correct horse").await.data();
    assert_eq!(here.get("/auth/tokens").await.data()["tokens"], json!([]));
}

#[tokio::test]
async fn health_metrics_and_openapi_endpoints() {
    let service = Service::with(Settings { workers: 0, background: true, ..Settings::default() }).await;
    let client = Browser::new(&service);
    assert_eq!((client.get("/livez").await.status, &client.get("/livez").await.bytes[..]), (200, &b"ok\n"[..]));
    let ready = client.get("/readyz").await.json();
    assert_eq!(
        (&ready["ready"], &ready["checks"]["database"], &ready["checks"]["queue"]),
        (&json!(true), &json!("ok"), &json!("ok"))
    );
    client.upload("x", &song(1)).await;
    let metrics = client.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(metrics.bytes.to_vec()).unwrap();
    for line in [
        "vocalizer_songs{status=\"UPLOADED\"} 1",
        "vocalizer_jobs{state=\"waiting\"} 1",
        "vocalizer_jobs{state=\"dead\"} 0",
        "vocalizer_outbox 0",
        "vocalizer_http_requests_total{operation=\"upload\",status=\"200\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let document = client.get("/openapi.json").await.json();
    assert_eq!(document, vocalizer_http::openapi::document());
}

#[tokio::test]
async fn request_id_is_echoed_or_generated() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let ask = |id: &'static str| Browser::send(client.request(Method::GET, "/livez").header("x-request-id", id));
    assert_eq!(ask("abc-123").await.header("x-request-id"), "abc-123");
    for odd in ["a b", "<script>", ""] {
        assert_eq!(ask(odd).await.header("x-request-id").len(), 36, "{odd:?}");
    }
}

#[tokio::test]
async fn stopped_service_ends_streams_and_keeps_queued_songs() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let waiting = client.upload("x", &song(1)).await;
    let events = client.request(Method::GET, &format!("/songs/{}/events", id(&waiting))).send().await.unwrap();
    let address = service.address;
    let dir = service.stop().await;
    // Shutdown ended the endless stream.
    tokio::time::timeout(Duration::from_secs(10), events.bytes()).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let again = Service::over(dir, Settings::default()).await;
    sleep(Duration::from_millis(1)).await;
    Browser::new(&again).until(&waiting, "SPLIT").await;
}
