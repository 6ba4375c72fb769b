//! Invalid session cookies and cross-site requests.

use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::support::{Answer, Browser, Service, Settings, id, song};

const GOOD: &str = "correct horse";

/// The session cookie of a response, as a browser returns it.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn with_cookie(service: &Service, method: Method, path: &str, cookie: &str) -> Answer {
    Browser::send(Browser::new(service).request(method, path).header("cookie", cookie)).await
}

/// Asserts that this cookie is treated as anonymous: no private songs and nothing that needs an account.
async fn assert_anonymous(service: &Service, cookie: &str, private: &Value) {
    let get = |path: String| async move { with_cookie(service, Method::GET, &path, cookie).await };
    assert_eq!(get("/auth/me".to_owned()).await.data()["user"], Value::Null, "{cookie:?}");
    assert_eq!(get("/songs/".to_owned()).await.data()["songs"], json!([]), "{cookie:?}");
    get(format!("/songs/{}", id(private))).await.refused(404, "not_found");
    get(format!("/songs/{}/song.mp3", id(private))).await.refused(404, "not_found");
    get("/auth/tokens".to_owned()).await.refused(401, "unauthenticated");
    let deleted = with_cookie(service, Method::DELETE, &format!("/songs/{}", id(private)), cookie).await;
    deleted.refused(404, "not_found");
}

#[tokio::test]
async fn tampered_cookie_is_anonymous() {
    let service = Service::idle().await;
    let ada = Browser::new(&service);
    let good = cookie(&ada.register("ada", GOOD).await);
    let private = ada.upload("hers", &song(1)).await;
    let secret = good.strip_prefix("session=").unwrap();
    let flipped = if secret.ends_with('0') { '1' } else { '0' };
    for bad in [
        format!("session={}{flipped}", &secret[..63]),
        format!("session={}", &secret[..63]),
        format!("session={}", &secret[1..]),
        format!("session={secret}0"),
        format!("session={}", secret.to_uppercase()),
        format!("session={}", secret.chars().rev().collect::<String>()),
        format!("session=\"{secret}\""),
        format!("session={secret}%00"),
        format!("session=%{:02x}{}", secret.as_bytes()[0], &secret[1..]),
        format!("Session={secret}"),
        format!("__Host-session={secret}"),
        format!("session ={secret}"),
        format!("session=; other={secret}"),
        format!("session={}; session={secret}", "0".repeat(64)),
        format!("session={}", "a".repeat(10_000)),
        "session=".to_owned(),
        "session".to_owned(),
        "=".to_owned(),
        ";;;".to_owned(),
        String::new(),
    ] {
        assert_anonymous(&service, &bad, &private).await;
    }
    assert_eq!(with_cookie(&service, Method::GET, "/auth/me", &good).await.data()["user"]["username"], "ada");
}

#[tokio::test]
async fn cookie_is_anonymous_after_logout() {
    let service = Service::idle().await;
    let ada = Browser::new(&service);
    let before = cookie(&ada.register("ada", GOOD).await);
    let private = ada.upload("hers", &song(1)).await;
    let logout = ada.post("/auth/logout", &[]).await;
    assert_eq!(logout.data(), Value::Null);
    let cleared = logout.header("set-cookie");
    assert!(cleared.starts_with("session=;") && cleared.contains("Max-Age=0"), "{cleared}");
    assert_anonymous(&service, &before, &private).await;
    with_cookie(&service, Method::POST, "/auth/logout", &before).await.data();
    // A login with the old cookie creates a new session and does not revive the old one.
    let form = [("username", "ada"), ("password", GOOD)];
    let request = Browser::new(&service).request(Method::POST, "/auth/login").header("cookie", &before).form(&form);
    let again = cookie(&Browser::send(request).await);
    assert_ne!(again, before);
    assert_anonymous(&service, &before, &private).await;
}

#[tokio::test]
async fn expired_cookie_is_anonymous() {
    let settings = Settings { workers: 0, session: Duration::from_millis(1), ..Settings::default() };
    let service = Service::with(settings).await;
    let expired = cookie(&Browser::new(&service).register("ada", GOOD).await);
    sleep(Duration::from_millis(20)).await;
    let dir = service.stop().await;
    let service = Service::over(dir, Settings { workers: 0, ..Settings::default() }).await;
    let ada = Browser::new(&service);
    ada.login("ada", GOOD).await.data();
    let private = ada.upload("hers", &song(1)).await;
    assert_anonymous(&service, &expired, &private).await;
    // An upload with an expired session is rejected, so that it does not become public.
    let form = Form::new().text("title", "x").part("file", Part::bytes(song(2)).file_name("x.wav"));
    let upload =
        Browser::new(&service).request(Method::POST, "/songs/upload").header("cookie", &expired).multipart(form);
    Browser::send(upload).await.refused(401, "unauthenticated");
    assert_eq!(Browser::new(&service).get("/songs/").await.data()["songs"], json!([]));
    assert_eq!(ada.get("/auth/me").await.data()["user"]["username"], "ada", "the valid session still works");
}

#[tokio::test]
async fn cross_site_requests_are_rejected() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let hers = ada.upload("hers", &song(1)).await;
    let path = format!("/songs/{}", id(&hers));
    let (retry, result) = (format!("{path}/retry"), format!("/songs/{}/upload_result", hers["hash"].as_str().unwrap()));
    let form = "application/x-www-form-urlencoded";
    let own = service.url("");
    let neighbour = own.replace(&service.address.port().to_string(), "1");
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "whatever"),
        ("origin", "http://evil.example"),
        ("origin", "https://127.0.0.1.evil.example"),
        ("origin", &neighbour),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "file://"),
    ] {
        for (method, path, body) in [
            (Method::POST, "/auth/register", "username=eve&password1=correct+horse&password2=correct+horse"),
            (Method::POST, "/auth/login", "username=ada&password=correct+horse"),
            (Method::POST, "/auth/logout", ""),
            (Method::POST, "/auth/password", "old_password=correct+horse&password1=12345678&password2=12345678"),
            (Method::POST, "/auth/tokens", "name=x"),
            (Method::POST, "/songs/upload", "title=x"),
            (Method::POST, &retry, ""),
            (Method::POST, &result, ""),
            (Method::PATCH, &path, "title=theirs"),
            (Method::DELETE, &path, ""),
        ] {
            let request = ada.request(method, path).header(name, value).header("content-type", form).body(body);
            Browser::send(request).await.refused(403, "cross_site");
        }
    }
    assert_eq!(ada.get("/auth/me").await.data()["user"]["username"], "ada", "the session is unchanged");
    assert_eq!(ada.get("/auth/tokens").await.data()["tokens"], json!([]));
    assert_eq!(ada.get(&path).await.data()["song"]["title"], "hers");
    ada.login("eve", GOOD).await.refused(401, "unauthenticated");
    ada.login("ada", GOOD).await.data();
    for (name, value) in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", &own)] {
        let request = ada.request(Method::PATCH, &path).header(name, value).form(&[("title", value)]);
        assert_eq!(Browser::send(request).await.data()["song"]["title"], value, "same-origin requests are accepted");
    }
    // Reading is allowed: the other page cannot see the response. Tokens are exempt, since browsers do not send them by
    // themselves.
    let foreign = |method, path: &str| ada.request(method, path).header("sec-fetch-site", "cross-site");
    assert_eq!(Browser::send(foreign(Method::GET, &path)).await.status, 200);
    let token = ada.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    Browser::send(foreign(Method::DELETE, &path).bearer_auth("wrong")).await.refused(401, "unauthenticated");
    Browser::send(foreign(Method::DELETE, &path).bearer_auth(token)).await.data();
}
