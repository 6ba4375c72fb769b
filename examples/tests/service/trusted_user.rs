//! Users that a trusted proxy names in a header.

use reqwest::Method;
use serde_json::Value;
use vocalizer::service::Policy;
use vocalizer_core::account::Registration;
use vocalizer_http::settings::UserHeader;

use super::server::admin;
use super::support::{Answer, Browser, Service, Settings, song};

/// A service that trusts proxies of a network.
async fn behind(network: &str, creates_users: bool) -> Service {
    let user_header = UserHeader::new("Remote-User", creates_users);
    let policy = Policy { user_header, registration: Registration::Closed, ..Policy::default() };
    let trusted_proxies = vec![network.parse().unwrap()];
    Service::with(Settings { workers: 0, policy, trusted_proxies, ..Settings::default() }).await
}

async fn me(browser: &Browser, names: &[&str]) -> Answer {
    let request = names.iter().fold(browser.request(Method::GET, "/auth/me"), |r, name| r.header("Remote-User", *name));
    Browser::send(request).await
}

#[tokio::test]
async fn named_user_is_signed_in_and_created_once() {
    let service = behind("127.0.0.1/32", true).await;
    let browser = Browser::new(&service);
    let first = me(&browser, &["Ada.Lovelace@example.org"]).await.data()["user"].clone();
    assert_eq!(first["username"], "Ada.Lovelace@example.org");
    assert_eq!(me(&browser, &["ada.lovelace@example.org"]).await.data()["user"], first);
    assert_eq!(me(&browser, &[]).await.data()["user"], Value::Null);
    assert_eq!(me(&browser, &[""]).await.data()["user"], Value::Null);
    // Concurrent first requests make one user.
    let names = futures_util::future::join_all((0..8).map(|_| me(&browser, &["grace"]))).await;
    let ids: std::collections::BTreeSet<_> = names.iter().map(|name| name.data()["user"]["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    // The password is random.
    browser.login("grace", "").await.refused(401, "unauthenticated");

    let form = reqwest::multipart::Form::new()
        .text("title", "x")
        .part("file", reqwest::multipart::Part::bytes(song(1)).file_name("song.wav"));
    let upload = browser.request(Method::POST, "/songs/upload").header("Remote-User", "grace").multipart(form);
    let uploaded = Browser::send(upload).await.data()["song"].clone();
    assert_eq!(uploaded["uploader_id"].to_string(), *ids.first().unwrap());
    // A page of another site cannot act for the user.
    let forged = browser.request(Method::POST, "/songs/upload").header("Remote-User", "grace");
    Browser::send(forged.header("Sec-Fetch-Site", "cross-site")).await.refused(403, "cross_site");
    // Browsers attach the password that a proxy asked for to forged requests, too.
    let forged =
        browser.request(Method::POST, "/songs/upload").header("Remote-User", "grace").basic_auth("grace", Some("x"));
    Browser::send(forged.header("Sec-Fetch-Site", "cross-site")).await.refused(403, "cross_site");
    // A stream stays open as long as the user is named.
    let mut events = browser.request(Method::GET, "/songs/events").header("Remote-User", "grace").send().await.unwrap();
    assert!(events.chunk().await.unwrap().is_some());
    let path = format!("/songs/{}", uploaded["id"].as_str().unwrap());
    let rename = browser.request(Method::PATCH, &path).header("Remote-User", "grace").form(&[("title", "y")]);
    Browser::send(rename).await.data();
    let event = events.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&event).contains("event: song"), "{event:?}");
}

#[tokio::test]
async fn unknown_user_is_refused_unless_created() {
    let service = behind("127.0.0.1/32", false).await;
    let browser = Browser::new(&service);
    me(&browser, &["ada"]).await.refused(403, "registration_closed");
    service
        .accounts
        .ensure_user("ada", &vocalizer_core::secret::Secret::new("correct horse".to_owned()))
        .await
        .unwrap();
    assert_eq!(me(&browser, &["ada"]).await.data()["user"]["username"], "ada");
    for wrong in [&["ada", "bob"][..], &["ada,bob"], &["a b"], &["<b>"]] {
        me(&browser, wrong).await.refused_field(422, "invalid", "username");
    }
}

#[tokio::test]
async fn header_from_elsewhere_is_ignored() {
    let service = behind("10.0.0.0/8", true).await;
    let browser = Browser::new(&service);
    assert_eq!(me(&browser, &["ada"]).await.data()["user"], Value::Null);
    // Nor does a claimed proxy help.
    let request = browser.request(Method::GET, "/auth/me").header("Remote-User", "ada");
    let answer = Browser::send(request.header("X-Forwarded-For", "10.0.0.1")).await;
    assert_eq!(answer.data()["user"], Value::Null);
    assert!(
        service
            .accounts
            .ensure_user("ada", &vocalizer_core::secret::Secret::new("correct horse".to_owned()))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn header_replaces_a_session_but_not_a_token() {
    let service = behind("127.0.0.1/32", true).await;
    let browser = Browser::new(&service);
    service
        .accounts
        .ensure_user("bob", &vocalizer_core::secret::Secret::new("correct horse".to_owned()))
        .await
        .unwrap();
    browser.login("bob", "correct horse").await.data();
    let token = browser.post("/auth/tokens", &[("name", "script")]).await.data()["secret"].as_str().unwrap().to_owned();
    assert_eq!(me(&browser, &[]).await.data()["user"]["username"], "bob");
    assert_eq!(me(&browser, &["ada"]).await.data()["user"]["username"], "ada");
    let request = browser.request(Method::GET, "/auth/me").header("Remote-User", "ada").bearer_auth(token);
    assert_eq!(Browser::send(request).await.data()["user"]["username"], "bob");
    let wrong = browser.request(Method::GET, "/auth/me").header("Remote-User", "ada").bearer_auth("vct_0");
    Browser::send(wrong).await.refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_user_is_refused_by_name_too() {
    let service = behind("127.0.0.1/32", true).await;
    let browser = Browser::new(&service);
    me(&browser, &["ada"]).await.data();
    let data = service.database().parent().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || admin(&data, &["users", "disable", "ada"])).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    me(&browser, &["ada"]).await.refused(403, "account_disabled");
    let output = service.database();
    assert!(output.exists());
}

#[test]
fn header_needs_proxies_and_no_open_registration() {
    let dir = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str]| {
        let all: Vec<_> =
            ["check-config", "--trusted-user-header", "Remote-User"].iter().chain(arguments).copied().collect();
        let output = admin(dir.path(), &all);
        (output.status.code(), format!("{output:?}"))
    };
    let (code, what) = check(&["--registration", "closed"]);
    assert!(code == Some(2) && what.contains("requires TRUSTED_PROXIES"), "{what}");
    let (code, what) = check(&["--trusted-proxies", "127.0.0.1"]);
    assert!(code == Some(2) && what.contains("requires REGISTRATION=closed or invite"), "{what}");
    let (code, what) = check(&["--trusted-proxies", "127.0.0.1", "--registration", "closed"]);
    assert!(code == Some(0) && what.contains("TRUSTED_USER_HEADER=remote-user"), "{what}");
}

/// nginx with `auth_basic` forwards the password that it checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_for_the_proxy_is_no_token() {
    let service = behind("127.0.0.1/32", true).await;
    let browser = Browser::new(&service);
    let basic = |path: &str, names: &[&str]| {
        let request = browser.request(Method::GET, path).basic_auth("ada", Some("for the proxy"));
        Browser::send(names.iter().fold(request, |request, name| request.header("Remote-User", *name)))
    };
    assert_eq!(basic("/auth/me", &["ada"]).await.data()["user"]["username"], "ada");
    assert_eq!(basic("/auth/me", &[]).await.data()["user"], Value::Null);
    let uploaded = browser.upload("x", &song(1)).await;
    basic(&format!("/songs/{}", uploaded["id"].as_str().unwrap()), &["ada"]).await.data();
    // A link in a cookie is read, too.
    let private = browser.request(Method::POST, "/songs/upload").header("Remote-User", "ada");
    let form =
        reqwest::multipart::Form::new().text("title", "y").part("file", reqwest::multipart::Part::bytes(song(2)));
    let private = Browser::send(private.multipart(form)).await.data()["song"]["id"].as_str().unwrap().to_owned();
    let path = format!("/songs/{private}");
    let share = browser.request(Method::POST, &format!("{path}/shares")).header("Remote-User", "ada");
    let secret = Browser::send(share.form(&[("expires_at", "")])).await.data()["secret"].as_str().unwrap().to_owned();
    let guest = browser.request(Method::GET, &path).basic_auth("bob", Some("x")).header("Remote-User", "bob");
    Browser::send(guest.header("cookie", format!("share={secret}"))).await.data();

    // Without such a proxy, another scheme is a wrong token.
    for service in [behind("10.0.0.0/8", true).await, Service::idle().await] {
        let browser = Browser::new(&service);
        let request =
            browser.request(Method::GET, "/auth/me").basic_auth("ada", Some("x")).header("Remote-User", "ada");
        Browser::send(request).await.refused(401, "unauthenticated");
    }
}
