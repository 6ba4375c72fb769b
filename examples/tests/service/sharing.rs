//! Share links: what they open, what they do not, and how they end.

use reqwest::header::RANGE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use vocalizer_client::{Client, Share, ShareMix, Stem, Upload};
use vocalizer_core::limits::Limits;

use super::server::{Server, sql};
use super::support::{Answer, Browser, Service, Settings, archive, from_address, id, song, stems};

/// A service with a split song of a user.
async fn split(settings: Settings) -> (Service, Browser, Value) {
    let service = Service::with(Settings { workers: 0, ..settings }).await;
    let ada = Browser::registered(&service, "ada").await;
    let uploaded = ada.upload("Clair de lune", &song(1)).await;
    ada.result(&uploaded, archive()).await.data();
    (service, ada, uploaded)
}

fn shares(song: &Value) -> String {
    format!("/songs/{}/shares", id(song))
}

/// Creates a link and returns its ID and secret.
async fn share(browser: &Browser, song: &Value, fields: &[(&str, &str)]) -> (String, String) {
    let data = browser.post(&shares(song), fields).await.data();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&data["share"]["id"]), text(&data["secret"]))
}

fn with(secret: &str, browser: &Browser, method: Method, path: &str) -> RequestBuilder {
    browser.request(method, path).bearer_auth(secret)
}

async fn get(secret: &str, browser: &Browser, path: &str) -> Answer {
    Browser::send(with(secret, browser, Method::GET, path)).await
}

async fn opened(secret: &str, service: &Service) -> Answer {
    get(secret, &Browser::new(service), "/share").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_opens_song_and_everything_that_a_player_needs() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let (_, secret) = share(&ada, &uploaded, &[]).await;
    let guest = Browser::new(&service);
    let data = get(&secret, &guest, "/share").await.data();
    assert_eq!(data["expires_at"], Value::Null);
    assert_eq!(data["mix"], Value::Null);
    assert_eq!((&data["song"]["id"], &data["song"]["title"]), (&uploaded["id"], &json!("Clair de lune")));
    assert_eq!(data["song"]["uploader_id"], Value::Null, "the uploader is private");
    assert_ne!(uploaded["uploader_id"], Value::Null);

    let at = format!("/songs/{}", id(&uploaded));
    assert_eq!(get(&secret, &guest, &at).await.data()["song"], data["song"]);
    for (file, bytes) in [("vocals.mp3", stems().vocals.to_vec()), ("song.mp3", song(1))] {
        let answer = get(&secret, &guest, &format!("{at}/{file}?download")).await;
        assert_eq!((answer.status, answer.bytes.to_vec()), (200, bytes), "{file}");
        assert_eq!(answer.header("x-robots-tag"), "noindex");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("cache-control").contains("private"), "{answer:?}");
    }
    for file in ["bass.wav", "accompaniment.flac", "stems.zip", "stems.tar", "mix.mp3?vocals=0", "peaks/drums"] {
        let answer = get(&secret, &guest, &format!("{at}/{file}")).await;
        assert_eq!(answer.status, 200, "{file}: {answer:?}");
        assert!(!answer.bytes.is_empty());
    }
    let part =
        Browser::send(with(&secret, &guest, Method::GET, &format!("{at}/drums.mp3")).header(RANGE, "bytes=2-9")).await;
    assert_eq!((part.status, part.bytes), (206, stems().drums.slice(2..10)));
    let head = Browser::send(with(&secret, &guest, Method::HEAD, &format!("{at}/other.mp3"))).await;
    assert_eq!(head.header("content-length"), stems().other.len().to_string());
    // Nothing changes for others.
    guest.get(&at).await.refused(404, "not_found");
    assert!(guest.get("/songs/").await.data()["songs"].as_array().unwrap().is_empty());
    assert!(ada.get(&at).await.headers.get("x-robots-tag").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_permits_only_to_read_its_song() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let other = ada.upload("Another song", &song(2)).await;
    let (share_id, secret) = share(&ada, &uploaded, &[]).await;
    let guest = Browser::new(&service);
    let (at, links) = (format!("/songs/{}", id(&uploaded)), shares(&uploaded));
    let title = [("title", "x")];
    for request in [
        guest.upload_request("x", song(3)),
        guest.request(Method::PATCH, &at).form(&title),
        guest.request(Method::DELETE, &at),
        guest.request(Method::POST, &format!("{at}/retry")),
        guest.request(Method::GET, &format!("{at}/events")),
        guest.request(Method::GET, "/songs/"),
        guest.request(Method::GET, "/songs/events"),
        guest.request(Method::GET, "/auth/me"),
        guest.request(Method::GET, "/auth/tokens"),
        guest.request(Method::POST, "/auth/tokens").form(&[("name", "x")]),
        guest.request(Method::POST, "/auth/logout_everywhere"),
        guest.request(Method::POST, &links).form(&title),
        guest.request(Method::GET, &links),
        guest.request(Method::DELETE, &format!("{links}/{share_id}")),
        guest.request(Method::POST, "/jobs/lease").form(&[("wait_s", "0")]),
        guest.request(Method::GET, &format!("/songs/{}/source", uploaded["hash"].as_str().unwrap())),
    ] {
        Browser::send(request.bearer_auth(&secret)).await.refused(401, "unauthenticated");
    }
    get(&secret, &guest, &format!("/songs/{}", id(&other))).await.refused(404, "not_found");
    get(&secret, &guest, &format!("/songs/{}/song.mp3", id(&other))).await.refused(404, "not_found");
    // In a cookie it is no session either.
    let cookie =
        |request: RequestBuilder| Browser::send(request.header("cookie", format!("share={secret}; session={secret}")));
    cookie(guest.request(Method::DELETE, &at)).await.refused(404, "not_found");
    cookie(guest.request(Method::PATCH, &at).form(&title)).await.refused(404, "not_found");
    cookie(guest.request(Method::GET, &links)).await.refused(404, "not_found");
    assert_eq!(cookie(guest.request(Method::GET, "/auth/me")).await.data()["user"], Value::Null);
    assert_eq!(ada.get(&at).await.data()["song"]["title"], "Clair de lune");
    assert_eq!(ada.get(&links).await.data()["shares"].as_array().unwrap().len(), 1);
    // A session and an API token open no link.
    let token = ada.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    get(&token, &guest, "/share").await.refused(401, "unauthenticated");
    ada.get("/share").await.refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_in_a_cookie_is_read_with_and_without_a_session() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let (share_id, secret) = share(&ada, &uploaded, &[]).await;
    Browser::registered(&service, "bob").await;
    let guest = Browser::new(&service);
    // The HTTP library sends its own cookies only if the test gives none.
    let session = async |name: &str| {
        let answer = Browser::new(&service).login(name, "correct horse").await;
        let mut cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.find(|cookie| cookie.starts_with("session=")).unwrap();
        format!("; {}", cookie.split(';').next().unwrap())
    };
    let path = format!("/songs/{}/vocals.mp3", id(&uploaded));
    let file = async |session: &str| {
        let request = guest.request(Method::GET, &path).header("cookie", format!("share={secret}{session}"));
        Browser::send(request).await
    };
    let (of_ada, of_bob) = (session("ada").await, session("bob").await);
    for session in ["", &of_bob, &of_ada] {
        let answer = file(session).await;
        assert_eq!((answer.status, answer.bytes.clone()), (200, stems().vocals));
        assert_eq!(answer.header("x-robots-tag"), "noindex");
    }
    ada.delete(&format!("{}/{share_id}", shares(&uploaded))).await.data();
    file("").await.refused(404, "not_found");
    file(&of_bob).await.refused(404, "not_found");
    // A song that its viewer may see anyway does not depend on the cookie.
    assert_eq!(file(&of_ada).await.status, 200);
    let public = guest.upload("Public", &song(4)).await;
    let request = guest.request(Method::GET, &format!("/songs/{}", id(&public))).header("cookie", "share=vcs_gone");
    Browser::send(request).await.data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_creates_lists_and_revokes_links() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let (first, secret) = share(&ada, &uploaded, &[("expires_at", "2999-12-31")]).await;
    let (second, _) = share(&ada, &uploaded, &[("expires_at", "2999-06-01T12:30:00+02:00")]).await;
    let listed = ada.get(&shares(&uploaded)).await.data()["shares"].clone();
    let ends: Vec<_> = listed.as_array().unwrap().iter().map(|one| json!([one["id"], one["expires_at"]])).collect();
    assert_eq!(ends, [json!([second, "2999-06-01T10:30:00Z"]), json!([first, "2999-12-31T23:59:59Z"])]);
    assert!(!listed.to_string().contains(&secret) && !listed.to_string().contains("vcs_"));
    for browser in [&Browser::new(&service), &Browser::registered(&service, "bob").await] {
        browser.post(&shares(&uploaded), &[("expires_at", "")]).await.refused(404, "not_found");
        browser.get(&shares(&uploaded)).await.refused(404, "not_found");
        browser.delete(&format!("{}/{first}", shares(&uploaded))).await.refused(404, "not_found");
    }
    opened(&secret, &service).await.data();
    // Not a link of this song.
    let other = ada.upload("Another song", &song(2)).await;
    ada.delete(&format!("{}/{first}", shares(&other))).await.refused(404, "not_found");
    ada.delete(&format!("{}/{first}", shares(&uploaded))).await.data();
    ada.delete(&format!("{}/{first}", shares(&uploaded))).await.refused(404, "not_found");
    opened(&secret, &service).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_carries_the_mix() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let fields = json!({"vocals": 0, "drums": 0.4, "bass": "1.5", "start_ms": 30_000, "loop_from_ms": 29_000, "loop_to_ms": 61_000});
    let created = Browser::send(ada.request(Method::POST, &shares(&uploaded)).json(&fields)).await.data();
    let mix = &created["share"]["mix"];
    assert_eq!(
        mix,
        &json!({"levels": {"drums": 0.4, "bass": 1.5, "vocals": 0.0}, "start_ms": 30_000, "loop_ms": [29_000, 61_000]})
    );
    assert_eq!(&opened(created["secret"].as_str().unwrap(), &service).await.data()["mix"], mix);
    assert_eq!(&ada.get(&shares(&uploaded)).await.data()["shares"][0]["mix"], mix);
    for (name, value, wrong) in [
        ("vocals", "2.1", "vocals"),
        ("vocals", "NaN", "vocals"),
        ("drums", "loud", "drums"),
        ("start_ms", "-1", "start_ms"),
        ("loop_from_ms", "5", "loop_to_ms"),
        ("loop_to_ms", "5", "loop_from_ms"),
        ("expires_at", "tomorrow", "expires_at"),
        ("expires_at", "2020-01-01", "expires_at"),
    ] {
        let answer = ada.post(&shares(&uploaded), &[(name, value)]).await;
        assert_eq!(answer.status, 422, "{name}={value}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"], wrong, "{name}={value}");
    }
    let reversed = ada.post(&shares(&uploaded), &[("loop_from_ms", "5"), ("loop_to_ms", "5")]).await;
    assert_eq!(reversed.json()["errors"][0]["field"], "loop_to_ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_a_song_are_limited() {
    let limits = Limits { max_shares: 2, ..Limits::default() };
    let (service, ada, uploaded) = split(Settings { limits, ..Settings::default() }).await;
    assert_eq!(ada.get("/limits").await.data()["limits"]["max_shares"], 2);
    let (first, _) = share(&ada, &uploaded, &[]).await;
    share(&ada, &uploaded, &[]).await;
    let answer = ada.post(&shares(&uploaded), &[("expires_at", "")]).await;
    answer.refused(409, "conflict");
    ada.delete(&format!("{}/{first}", shares(&uploaded))).await.data();
    share(&ada, &uploaded, &[]).await;
    let other = ada.upload("Another song", &song(2)).await;
    share(&ada, &other, &[]).await;
    drop(service);

    let limits = Limits { max_shares: 0, ..Limits::default() };
    let (_service, ada, uploaded) = split(Settings { limits, ..Settings::default() }).await;
    ada.post(&shares(&uploaded), &[("expires_at", "")]).await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_expired_revoked_and_deleted_links_look_the_same() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let (expired_id, expired) = share(&ada, &uploaded, &[("expires_at", "2999-12-31")]).await;
    let (revoked_id, revoked) = share(&ada, &uploaded, &[]).await;
    let deleted_song = ada.upload("Deleted", &song(2)).await;
    let (_, deleted) = share(&ada, &deleted_song, &[]).await;
    ada.delete(&format!("{}/{revoked_id}", shares(&uploaded))).await.data();
    ada.delete(&format!("/songs/{}", id(&deleted_song))).await.data();
    opened(&expired, &service).await.data();
    sql(&service.database(), &format!("UPDATE shares SET expires_at_us = 1 WHERE id = '{expired_id}'"));
    let unknown = format!("vcs_{}", "0".repeat(64));
    let path = format!("/songs/{}/vocals.mp3", id(&uploaded));
    for path in ["/share", &path] {
        let mut answers = Vec::new();
        for secret in [&unknown, &expired, &revoked, &deleted] {
            let mut answer = get(secret, &Browser::new(&service), path).await;
            answer.refused(404, "not_found");
            assert!(!String::from_utf8_lossy(&answer.bytes).contains("vcs_"), "{answer:?}");
            answer.headers.remove("x-request-id");
            answer.headers.remove("date");
            answers.push((answer.bytes, answer.headers));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_guesses_are_throttled() {
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let (service, ada, uploaded) = split(Settings { trusted_proxies, ..Settings::default() }).await;
    let (_, known) = share(&ada, &uploaded, &[]).await;
    let (_, new) = share(&ada, &uploaded, &[]).await;
    let guest = Browser::new(&service);
    let file = format!("/songs/{}/vocals.mp3", id(&uploaded));
    let ask = async |from: u32, secret: &str, path: &str| {
        Browser::send(from_address(from, with(secret, &guest, Method::GET, path))).await
    };
    ask(1, &known, "/share").await.data();
    let (mut missed, mut throttled) = (0, 0);
    for number in 0..1_000 {
        let guess = format!("vcs_{number:064x}");
        let answer = ask(1, &guess, if number % 2 == 0 { "/share" } else { &file }).await;
        match answer.status {
            404 => missed += 1,
            429 => {
                answer.refused(429, "rate_limited");
                assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
                throttled += 1;
            }
            _ => panic!("{answer:?}"),
        }
    }
    // Delays double, so a slow machine lets few more pass.
    assert!(missed < 60 && missed + throttled == 1_000, "{missed} guesses were checked");
    // A right guess looks like a wrong one. A link that was opened before, and other addresses, are not affected.
    ask(1, &new, "/share").await.refused(429, "rate_limited");
    assert_eq!(ask(1, &known, &file).await.status, 200);
    ask(2, &new, "/share").await.data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_hash_of_a_secret_is_stored() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let (_, secret) = share(&ada, &uploaded, &[]).await;
    let database = service.database();
    opened(&secret, &service).await.data();
    let digits = secret.strip_prefix("vcs_").unwrap();
    let mut files: Vec<_> =
        std::fs::read_dir(database.parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.is_file());
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(digits.len()).any(|window| window == digits.as_bytes()), "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_is_neither_logged_nor_counted() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), &[("RUST_LOG", "debug")]);
    let browser = server.browser();
    let uploaded = browser.upload("x", &song(1)).await;
    let (share_id, secret) = share(&browser, &uploaded, &[]).await;
    let file = format!("/songs/{}/song.mp3", id(&uploaded));
    get(&secret, &browser, "/share").await.data();
    assert_eq!(get(&secret, &browser, &file).await.status, 200);
    let cookie = browser.request(Method::GET, &file).header("cookie", format!("share={secret}"));
    assert_eq!(Browser::send(cookie).await.status, 200);
    browser.delete(&format!("{}/{share_id}", shares(&uploaded))).await.data();
    get(&secret, &browser, "/share").await.refused(404, "not_found");
    // A link whose `#` was encoded, or left out.
    for path in [format!("/%23/s/{secret}"), format!("/s/{secret}"), format!("/share/{secret}?token={secret}")] {
        let answer = browser.get(&path).await;
        answer.refused(404, "not_found");
        assert!(!String::from_utf8_lossy(&answer.bytes).contains(&secret), "{answer:?}");
    }
    let metrics = browser.get("/metrics").await;
    assert!(!String::from_utf8_lossy(&metrics.bytes).contains("vcs_"));
    assert!(String::from_utf8_lossy(&metrics.bytes).contains(r#"operation="open_share""#));
    let last = browser.request(Method::GET, "/livez").header("x-request-id", "the-last");
    Browser::send(last).await;
    server.wait_for_log(&["request completed", "id=the-last "]).await;
    let log = server.log();
    assert!(log.contains("path=/%23/s/ ") && log.contains("share link created"), "{log}");
    assert!(!log.contains("vcs_"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_reveals_neither_the_uploader_nor_labels() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let at = format!("/songs/{}", id(&uploaded));
    ada.post(&format!("{at}/labels"), &[("label", "for the wedding")]).await.data();
    ada.post(&format!("{at}/markers"), &[("at_ms", "10"), ("name", "Chorus")]).await.data();
    let own = ada.get(&format!("{at}?details")).await.data()["song"].clone();
    assert_eq!((&own["uploader_id"], &own["labels"]), (&uploaded["uploader_id"], &json!(["for the wedding"])));
    let private = [uploaded["uploader_id"].as_str().unwrap(), "for the wedding"];
    let (_, secret) = share(&ada, &uploaded, &[]).await;
    let guest = Browser::new(&service);
    let details = get(&secret, &guest, &format!("{at}?details")).await.data()["song"].clone();
    assert_eq!((&details["uploader_id"], &details["labels"]), (&Value::Null, &Value::Null));
    assert_eq!((&details["title"], &details["model"]), (&own["title"], &own["model"]));
    let cookie = guest.request(Method::GET, &format!("{at}?details")).header("cookie", format!("share={secret}"));
    assert_eq!(Browser::send(cookie).await.data()["song"], details);
    for path in [
        String::new(),
        "?details".to_owned(),
        "/markers".to_owned(),
        "/peaks/song".to_owned(),
        "/vocals.mp3".to_owned(),
    ] {
        let answer = get(&secret, &guest, &format!("{at}{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let text = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.bytes));
        assert!(!private.iter().any(|private| text.contains(private)), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_carries_levels_of_any_stem() {
    let (service, ada, uploaded) = split(Settings::default()).await;
    let created = ada.post(&shares(&uploaded), &[("vocals", "0"), ("levels", "guitar:0.5,piano:0")]).await.data();
    let mix = &created["share"]["mix"];
    assert_eq!(mix, &json!({"levels": {"vocals": 0.0, "guitar": 0.5, "piano": 0.0}}));
    assert_eq!(&opened(created["secret"].as_str().unwrap(), &service).await.data()["mix"], mix);
    let many: Vec<_> = (0..33).map(|number| format!("s{number}:1")).collect();
    for wrong in [
        "piano",
        "piano:",
        "piano:loud",
        "piano:2.1",
        "piano:-1",
        "piano:NaN",
        "Piano:1",
        "song:1",
        "piano:1,",
        &many.join(","),
    ] {
        ada.post(&shares(&uploaded), &[("levels", wrong)]).await.refused_field(422, "invalid", "levels");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_of_the_client_carries_levels_of_any_stem() {
    let service = Service::with(Settings { workers: 0, ..Settings::default() }).await;
    let client = Client::builder(format!("http://{}", service.address)).build().unwrap();
    let song = client.upload(Upload::from_bytes("x", "x.wav", song(1))).await.unwrap();
    let mix =
        ShareMix::default().with_level(Stem::PIANO, 0.0).with_level(Stem::GUITAR, 0.25).with_level(Stem::DRUMS, 1.5);
    let created = client.share(song.id, Share::new().with_mix(mix.clone())).await.unwrap();
    assert_eq!(created.share.mix, Some(mix));
}
