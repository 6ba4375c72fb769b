//! Registration, login and password guessing.

use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::support::{Answer, Browser, Service, id, song};

const GOOD: &str = "correct horse";

#[tokio::test]
async fn invalid_names_and_passwords_are_rejected_by_field() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let register = |name: String, password: String, repeated: String| {
        let client = client.clone();
        async move {
            let fields = [("username", &*name), ("password1", &*password), ("password2", &*repeated)];
            client.post("/auth/register", &fields).await
        }
    };
    for name in [
        "",
        "   ",
        "a b",
        "a\0b",
        "\0",
        "ada\0",
        "a\nb",
        "a\tb",
        "a\rb",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\u{feff}b",
        "q\u{301}",
        "a<b>",
        "a/b",
        "a:b",
        "\u{1f600}",
    ] {
        let answer = register(name.to_owned(), GOOD.to_owned(), GOOD.to_owned()).await;
        answer.refused_field(422, "invalid", "username");
    }
    register("x".repeat(65), GOOD.to_owned(), GOOD.to_owned()).await.refused_field(422, "invalid", "username");
    let long = "x".repeat(129);
    for (password, repeated, field) in [
        ("", "", "password1"),
        ("1234567", "1234567", "password1"),
        (long.as_str(), long.as_str(), "password1"),
        ("correct\0horse", "correct\0horse", "password1"),
        ("correct\nhorse", "correct\nhorse", "password1"),
        (GOOD, "", "password2"),
        (GOOD, "correct horsf", "password2"),
        (GOOD, "correct horse ", "password2"),
        (GOOD, "Correct horse", "password2"),
    ] {
        let answer = register("ada".to_owned(), password.to_owned(), repeated.to_owned()).await;
        answer.refused_field(422, "invalid", field);
    }
    let all = register(String::new(), String::new(), "x".to_owned()).await;
    all.refused_field(422, "invalid", "username");
    let fields: Vec<_> = all.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["username", "password1", "password2"], "all errors are reported at once");
    client.post("/auth/register", &[]).await.refused_field(422, "invalid", "username");
    assert_eq!(client.get("/auth/me").await.data()["user"], Value::Null);
    client.register("ada", GOOD).await.data();
}

#[tokio::test]
async fn megabyte_credentials_are_rejected() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let long = "x".repeat(1024 * 1024);
    for path in ["/auth/register", "/auth/login"] {
        for field in ["username", "password", "password1", "password2", "else"] {
            client.post(path, &[(field, &long)]).await.refused(413, "too_large");
        }
        let post = || client.request(Method::POST, path);
        Browser::send(post().json(&json!({"username": long}))).await.refused(413, "too_large");
        Browser::send(post().multipart(Form::new().text("username", long.clone()))).await.refused(413, "too_large");
    }
    // Fields that fit into a form are validated before the password is hashed.
    let fits = "x".repeat(60_000);
    client.register("ada", &"x".repeat(30_000)).await.refused_field(422, "invalid", "password1");
    client.register(&fits, GOOD).await.refused_field(422, "invalid", "username");
    client.login(&fits, GOOD).await.refused(401, "unauthenticated");
    client.login("ada", &fits).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn unreadable_form_returns_malformed() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let many = (0..100).map(|number| format!("field{number}=x")).collect::<Vec<_>>().join("&");
    let part = "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\n";
    for (kind, body) in [
        ("application/json", "{\"username\": \"ada\"".to_owned()),
        ("application/json", "[]".to_owned()),
        ("application/json", "\"ada\"".to_owned()),
        ("application/json", String::new()),
        ("application/json", "{\"username\": [\"ada\"]}".to_owned()),
        ("application/json", "{\"username\": {\"$ne\": \"\"}}".to_owned()),
        ("application/json", "[".repeat(60_000)),
        ("application/x-www-form-urlencoded", "username=ada&username=bob".to_owned()),
        ("application/x-www-form-urlencoded", many),
        ("multipart/form-data", format!("{part}ada\r\n--b--")),
        ("multipart/form-data; boundary=b", String::new()),
        ("multipart/form-data; boundary=b", format!("{part}ada")),
        ("multipart/form-data; boundary=c", format!("{part}ada\r\n--b--\r\n")),
    ] {
        let request = client.request(Method::POST, "/auth/login").header("content-type", kind).body(body.clone());
        let answer = Browser::send(request).await;
        assert_eq!(answer.status, 400, "{kind}: {:.100}: {answer:?}", body);
        answer.refused(400, "malformed");
    }
}

#[tokio::test]
async fn usernames_are_unique_ignoring_case_and_unicode_form() {
    let service = Service::idle().await;
    for (name, others) in [
        ("ada", &["ada", "ADA", "aDa", " ada ", "ada\n"][..]),
        ("straße", &["STRASSE", "strasse", "STRAẞE"]),
        // The Kelvin sign, the long s, and the two lower-case sigmas.
        ("kate", &["\u{212a}ate", "KATE"]),
        ("bess", &["be\u{17f}s", "beß"]),
        ("όσος", &["ΌΣΟΣ", "όσοσ"]),
        ("ﬁn", &["fin", "FIN"]),
    ] {
        let first = Browser::registered(&service, name).await;
        for other in others {
            let stranger = Browser::new(&service);
            let message = stranger.register(other, "another password").await.refused_field(409, "conflict", "username");
            assert_eq!(message, "the username is taken", "{name} and {other}");
            assert_eq!(stranger.get("/auth/me").await.data()["user"], Value::Null);
            stranger.login(other, "another password").await.refused(401, "unauthenticated");
        }
        let kept = if name == "ﬁn" { "fin" } else { name };
        assert_eq!(first.get("/auth/me").await.data()["user"]["username"], kept);
        Browser::new(&service).login(&name.to_uppercase(), GOOD).await.data();
    }
    // Look-alikes with letters of another alphabet are invalid names and unknown accounts.
    let stranger = Browser::new(&service);
    for look_alike in ["\u{430}da", "\u{441}\u{43e}\u{441}\u{43e}"] {
        stranger.register(look_alike, GOOD).await.refused_field(422, "invalid", "username");
        stranger.login(look_alike, GOOD).await.refused(401, "unauthenticated");
    }
    // Full-width letters normalise to the same name.
    stranger.register("ａｄａ", "another password").await.refused_field(409, "conflict", "username");
    stranger.login("ａｄａ", GOOD).await.data();
}

#[tokio::test]
async fn concurrent_registrations_of_one_name_yield_one_account() {
    let service = Service::idle().await;
    let register = |name: &'static str| {
        let client = Browser::new(&service);
        async move { client.register(name, GOOD).await }
    };
    let (a, b, c, d) = tokio::join!(register("ada"), register("Ada"), register("ADA"), register("ada"));
    let mut statuses = [a.status, b.status, c.status, d.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
}

#[tokio::test]
async fn sql_in_input_has_no_effect() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let client = Browser::new(&service);
    for text in
        ["' OR '1'='1", "ada'--", "ada\"; DROP TABLE users; --", "ada'/*", "ad%", "' UNION SELECT 1--", "?1", "$1"]
    {
        client.register(text, GOOD).await.refused_field(422, "invalid", "username");
        client.login(text, GOOD).await.refused(401, "unauthenticated");
        client.login("ada", text).await.refused(401, "unauthenticated");
        let logged_in = ada.login("ada", GOOD).await;
        assert_eq!(logged_in.data()["user"]["username"], "ada", "account is intact after {text:?}");
        let uploaded = ada.upload(text, &song(1)).await;
        assert_eq!(uploaded["title"], text);
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("status", text).finish();
        ada.get(&format!("/songs/?{query}")).await.refused_field(422, "invalid", "status");
        let cookie = format!("session={text}");
        let request = client.request(Method::GET, &format!("/songs/{}", id(&uploaded))).header("cookie", cookie);
        Browser::send(request).await.refused(404, "not_found");
    }
    // A wildcard character matches only itself.
    Browser::registered(&service, "b_b").await;
    client.login("bob", GOOD).await.refused(401, "unauthenticated");
    Browser::registered(&service, "bob").await;
    let password = "'; DROP TABLE users; --";
    client.register("eve", password).await.data();
    client.login("eve", password).await.data();
    assert_eq!(ada.get("/songs/").await.data()["songs"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn failed_login_does_not_reveal_whether_user_exists() {
    let service = Service::idle().await;
    Browser::registered(&service, "ada").await;
    let client = Browser::new(&service);
    let reference = client.login("ada", "wrong horse").await;
    reference.refused(401, "unauthenticated");
    assert_eq!(reference.header("www-authenticate"), "Bearer");
    for (name, password) in
        [("carol", "wrong horse"), ("carol", GOOD), ("ada", ""), ("", ""), ("a\0b", GOOD), ("ada", "correct horse ")]
    {
        let answer = client.login(name, password).await;
        assert_eq!((answer.status, &answer.bytes), (401, &reference.bytes), "{name:?}");
        let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&reference), "{name:?}");
    }
}

#[tokio::test]
async fn password_guessing_throttles_only_that_account() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    Browser::registered(&service, "bob").await;
    let guesser = Browser::new(&service);
    let wait_s = |answer: &Answer| {
        answer.refused(429, "rate_limited");
        answer.header("retry-after").parse::<u64>().unwrap()
    };
    // A client that waits as told is not throttled again.
    let delay_s = loop {
        let answer = guesser.login("ada", "wrong horse").await;
        if answer.status == 429 {
            break wait_s(&answer);
        }
    };
    sleep(Duration::from_secs(delay_s)).await;
    guesser.login("ada", "wrong horse").await.refused(401, "unauthenticated");
    // Continue until the delay is long enough that even a slow machine finishes this test within it.
    let throttled = loop {
        let answer = guesser.login("ada", "wrong horse").await;
        if answer.status == 429 && wait_s(&answer) >= 3 {
            break answer;
        }
        if answer.status == 401 {
            continue;
        }
        sleep(Duration::from_millis(100)).await;
    };
    assert!(wait_s(&throttled) <= 15 * 60);
    assert!(
        wait_s(&guesser.login("ADA", GOOD).await) >= 1,
        "the right password is throttled too, in any case of the name"
    );
    assert_eq!(ada.get("/auth/me").await.data()["user"]["username"], "ada", "existing sessions keep working");
    guesser.login("bob", GOOD).await.data();
}
