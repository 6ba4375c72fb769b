//! Administrators: users who manage users, songs, the queue and storage over HTTP.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, admin};
use super::support::{Answer, Browser, WORKER_TOKEN, archive, files_below, id, song};

const PASSWORD: &str = "correct horse";

/// Runs a command of `admin users` that succeeds.
fn users(data: &Path, arguments: &[&str]) {
    let arguments: Vec<_> = ["users"].iter().chain(arguments).collect();
    let output = admin(data, &arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

async fn registered(server: &Server, name: &str) -> Browser {
    let browser = server.browser();
    browser.register(name, PASSWORD).await.data();
    browser
}

async fn post(browser: &Browser, path: &str) -> Answer {
    Browser::send(browser.request(Method::POST, path)).await
}

async fn put(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    Browser::send(browser.request(Method::PUT, path).form(fields)).await
}

async fn id_of(browser: &Browser) -> String {
    browser.get("/auth/me").await.data()["user"]["id"].as_str().unwrap().to_owned()
}

async fn token(browser: &Browser) -> String {
    browser.post("/auth/tokens", &[("name", "script")]).await.data()["secret"].as_str().unwrap().to_owned()
}

fn names(users: &Value) -> Vec<&str> {
    users["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect()
}

fn titles(songs: &Value) -> Vec<&str> {
    songs["songs"].as_array().unwrap().iter().map(|song| song["title"].as_str().unwrap()).collect()
}

async fn until(what: &str, mut is_done: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if is_done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("timed out: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_administrators_reach_the_routes_and_others_learn_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let (ada, bob) = (registered(&server, "ada").await, registered(&server, "bob").await);
    let (known, unknown) = (id_of(&bob).await, "00000000-0000-4000-8000-000000000000");
    let song = ada.upload("x", &song(1)).await;
    let mut routes = vec![
        (Method::GET, "/admin/users?limit=no".to_owned()),
        (Method::GET, "/admin/songs".to_owned()),
        (Method::DELETE, format!("/admin/songs/{}", id(&song))),
        (Method::POST, format!("/admin/songs/{}/requeue", id(&song))),
        (Method::GET, "/admin/jobs".to_owned()),
        (Method::POST, "/admin/jobs/drain".to_owned()),
        (Method::POST, "/admin/jobs/resume".to_owned()),
        (Method::GET, "/admin/storage".to_owned()),
        (Method::GET, "/admin/audit".to_owned()),
    ];
    for user in [known.as_str(), unknown, "no-id"] {
        routes.push((Method::GET, format!("/admin/users/{user}")));
        routes.push((Method::POST, format!("/admin/users/{user}/disable")));
        routes.push((Method::POST, format!("/admin/users/{user}/enable")));
        routes.push((Method::POST, format!("/admin/users/{user}/disconnect")));
        routes.push((Method::POST, format!("/admin/users/{user}/password")));
        routes.push((Method::PUT, format!("/admin/users/{user}/quota")));
    }
    let (of_bob, of_ada) = (token(&bob).await, token(&ada).await);
    users(&data, &["admin", "ada"]);
    for (method, path) in &routes {
        let request = |browser: &Browser| browser.request(method.clone(), path);
        let anonymous = bob.new_client();
        Browser::send(request(&anonymous)).await.refused(401, "unauthenticated");
        Browser::send(request(&anonymous).bearer_auth(WORKER_TOKEN)).await.refused(401, "unauthenticated");
        let refused = Browser::send(request(&bob)).await;
        refused.refused(403, "forbidden");
        for token in [&of_bob, &of_ada] {
            let by_token = Browser::send(request(&anonymous).bearer_auth(token)).await;
            assert_eq!((by_token.status, &by_token.bytes), (403, &refused.bytes), "{method} {path}");
        }
        let foreign = request(&ada).header("origin", "https://example.org");
        if *method != Method::GET {
            Browser::send(foreign).await.refused(403, "cross_site");
        }
    }
    // Nothing has changed.
    bob.login("bob", PASSWORD).await.data();
    ada.get(&format!("/songs/{}", id(&song))).await.data();

    // The right counts at once, in sessions from before.
    assert_eq!(ada.get("/auth/me").await.data()["user"]["administrator"], true);
    assert_eq!(bob.get("/auth/me").await.data()["user"].get("administrator"), None);
    assert_eq!(names(&ada.get("/admin/users").await.data()), ["ada", "bob"]);
    users(&data, &["admin", "ada", "--revoke"]);
    ada.get("/admin/users").await.refused(403, "forbidden");
    assert_eq!(ada.get("/auth/me").await.data()["user"].get("administrator"), None);
    // A disabled administrator has no session.
    users(&data, &["admin", "ada"]);
    users(&data, &["disable", "ada"]);
    ada.get("/admin/users").await.refused(401, "unauthenticated");
}

/// What an administrator does with users, on any database.
async fn manages_users(server: &Server, ada: &Browser) {
    let bob = registered(server, "Bob").await;
    let grace = registered(server, "grace").await;
    let (bob_id, own) = (id_of(&bob).await, id_of(ada).await);
    let path = |action: &str| format!("/admin/users/{bob_id}{action}");
    bob.upload("x", &song(1)).await;

    let found = ada.get("/admin/users?search=BO").await.data();
    assert_eq!((names(&found), &found["next"]), (vec!["Bob"], &Value::Null));
    assert_eq!(found["users"][0], ada.get(&path("")).await.data()["user"]);
    assert_eq!((&found["users"][0]["songs"], &found["users"][0]["administrator"]), (&json!(1), &json!(false)));
    assert!(names(&ada.get("/admin/users?search=%25").await.data()).is_empty());
    assert!(names(&ada.get("/admin/users?search=a%00").await.data()).is_empty());
    let first = ada.get("/admin/users?limit=2").await.data();
    assert_eq!((names(&first), &first["next"]), (vec!["ada", "Bob"], &json!("Bob")));
    let second = ada.get("/admin/users?limit=2&after=Bob").await.data();
    assert_eq!((names(&second), &second["next"]), (vec!["grace"], &Value::Null));
    ada.get("/admin/users?limit=0").await.refused_field(422, "invalid", "limit");
    ada.get("/admin/users?after=a%20b").await.refused_field(422, "invalid", "after");

    assert!(post(ada, &path("/disable")).await.data()["user"]["disabled_at"].is_string());
    assert_eq!(bob.get("/auth/me").await.data()["user"], Value::Null);
    bob.login("bob", PASSWORD).await.refused(403, "account_disabled");
    assert_eq!(post(ada, &path("/enable")).await.data()["user"]["disabled_at"], Value::Null);
    bob.login("bob", PASSWORD).await.data();

    let reset = Browser::send(ada.request(Method::POST, &path("/password")).form(&[("password", "")])).await.data();
    let new = reset["password"].as_str().unwrap();
    assert!(new.len() >= 24, "{reset}");
    assert_eq!(bob.get("/auth/me").await.data()["user"], Value::Null);
    bob.login("bob", PASSWORD).await.refused(401, "unauthenticated");
    bob.login("bob", new).await.data();
    let given = ada.post(&path("/password"), &[("password", "battery staple")]).await.data();
    assert_eq!(given["password"], Value::Null);
    bob.login("bob", "battery staple").await.data();
    ada.post(&path("/password"), &[("password", "short")]).await.refused_field(422, "invalid", "password1");

    let limits = put(ada, &path("/quota"), &[("max_songs", "1"), ("max_bytes", "none")]).await.data();
    assert_eq!(limits["user"]["quota"], json!({"max_songs": 1, "max_bytes": null}));
    bob.try_upload("y", song(2)).await.refused(403, "quota_exceeded");
    assert_eq!(put(ada, &path("/quota"), &[("max_songs", "")]).await.data()["user"]["quota"], json!({}));
    bob.upload("y", &song(2)).await;
    for (field, wrong) in [
        ("max_songs", "many"),
        ("max_bytes", "-1"),
        ("max_songs", "9223372036854775808"),
        ("max_uploads_per_minute", "0"),
    ] {
        put(ada, &path("/quota"), &[(field, wrong)]).await.refused_field(422, "invalid", field);
    }

    // One administrator always remains.
    for action in ["/disable", "/disconnect", "/password"] {
        let message = post_form(ada, &format!("/admin/users/{own}{action}")).await.refused(409, "conflict");
        assert!(message.contains("vocalizer admin"), "{message}");
    }
    let unknown = "/admin/users/00000000-0000-4000-8000-000000000000";
    ada.get(unknown).await.refused(404, "not_found");
    post(ada, &format!("{unknown}/disable")).await.refused(404, "not_found");
    // No user is found by a name that looks like another user's ID.
    registered(server, &bob_id).await;
    assert_eq!(ada.get(&path("")).await.data()["user"]["username"], "Bob");
    drop(grace);

    let entries = ada.get("/admin/audit?limit=200").await.data()["entries"].clone();
    let mine: Vec<_> = entries.as_array().unwrap().iter().filter(|entry| entry["actor"] == "ada").collect();
    let actions: Vec<_> = mine.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected =
        ["quota_changed", "quota_changed", "password_reset", "password_reset", "user_enabled", "user_disabled"];
    assert_eq!(actions[..6], expected);
    let details = |at: usize| mine[at]["details"].as_str().unwrap();
    assert_eq!(
        (details(1), details(0)),
        ("from - to max_songs=1 max_bytes=none", "from max_songs=1 max_bytes=none to -")
    );
    assert_eq!((&mine[0]["subject"], &mine[0]["address"]), (&json!("Bob"), &json!("127.0.0.1")));
    assert!(!entries.to_string().contains("battery") && !entries.to_string().contains(new));
    assert_eq!(ada.get("/admin/audit?limit=1").await.data()["entries"].as_array().unwrap().len(), 1);
    assert_eq!(ada.get("/admin/audit?since=2999-12-31T00:00:00Z").await.data()["entries"], json!([]));
    ada.get("/admin/audit?since=yesterday").await.refused_field(422, "invalid", "since");
}

async fn post_form(browser: &Browser, path: &str) -> Answer {
    browser.post(path, &[("password", "")]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrator_manages_users_who_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let ada = registered(&server, "ada").await;
    users(&data, &["admin", "ada"]);
    manages_users(&server, &ada).await;
    // Nor can one administrator lock out another.
    let other = registered(&server, "other").await;
    users(&data, &["admin", "other"]);
    post(&ada, &format!("/admin/users/{}/disable", id_of(&other).await)).await.refused(409, "conflict");
}

#[cfg(feature = "cluster")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrator_manages_a_service_on_postgresql() {
    let database = super::postgres::Postgres::start();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::with(&data, &["--database-url", &database.url]);
    let ada = registered(&server, "ada").await;
    users(&data, &["admin", "ada", "--database-url", &database.url]);
    manages_users(&server, &ada).await;
    let anonymous = server.browser().upload("anonymous", &song(3)).await;
    assert_eq!(titles(&ada.get("/admin/songs?limit=1").await.data()), ["anonymous"]);
    assert_eq!(post(&ada, "/admin/jobs/drain").await.data()["held"], true);
    assert_eq!(post(&ada, "/admin/jobs/resume").await.data()["held"], false);
    ada.delete(&format!("/admin/songs/{}", id(&anonymous))).await.data();
    assert_eq!(ada.get("/admin/storage").await.data()["hashes"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrator_manages_songs_of_all_users() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let (ada, bob) = (registered(&server, "ada").await, registered(&server, "bob").await);
    users(&data, &["admin", "ada"]);
    let (first, second) = (bob.upload("first", &song(1)).await, bob.upload("second", &song(2)).await);
    server.browser().upload("anonymous", &song(2)).await;
    let listed = ada.get("/admin/songs").await.data();
    assert_eq!((titles(&listed), &listed["next"]), (vec!["anonymous", "second", "first"], &Value::Null));
    assert_eq!((&listed["songs"][1]["uploader"], &listed["songs"][0]["uploader"]), (&json!("bob"), &Value::Null));
    let page = ada.get("/admin/songs?limit=2").await.data();
    let rest = ada.get(&format!("/admin/songs?limit=2&after={}", page["next"].as_str().unwrap())).await.data();
    assert_eq!((titles(&rest), &rest["next"]), (vec!["first"], &Value::Null));
    assert_eq!(titles(&ada.get("/admin/songs?user=BOB&status=UPLOADED").await.data()), ["second", "first"]);
    assert_eq!(ada.get("/admin/songs?user=bob&status=SPLIT").await.data()["songs"], json!([]));
    ada.get("/admin/songs?user=zoe").await.refused(404, "not_found");
    ada.get("/admin/songs?status=broken").await.refused_field(422, "invalid", "status");

    // The owner's page learns of it, and the file goes at once.
    let mut events = bob.request(Method::GET, "/songs/events").send().await.unwrap();
    let mut seen = String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()).into_owned();
    let hash = first["hash"].as_str().unwrap();
    let folder = data.join("blobs").join(&hash[..2]).join(hash);
    assert!(!files_below(&folder).is_empty());
    ada.delete(&format!("/admin/songs/{}", id(&first))).await.data();
    assert!(files_below(&folder).is_empty());
    while !(seen.contains("event: deleted") && seen.contains(id(&first))) {
        seen += &String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap());
    }
    ada.delete(&format!("/admin/songs/{}", id(&first))).await.refused(404, "not_found");
    ada.delete(&format!("/admin/songs/{}", id(&second))).await.data();
    assert_eq!(titles(&ada.get("/admin/songs").await.data()), ["anonymous"]);

    let report = ada.get("/admin/storage").await.data();
    assert_eq!((&report["hashes"], &report["files"]["sources"]["files"]), (&json!(1), &json!(1)));
    assert_eq!((&report["songs"]["UPLOADED"], &report["orphans"]), (&json!(1), &json!(0)));
    assert!(report["space"]["free_bytes"].as_u64().unwrap() > 0);
    let head = Browser::send(ada.request(Method::HEAD, "/admin/storage")).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrator_drains_the_queue_and_requeues_songs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let (ada, bob) = (registered(&server, "ada").await, registered(&server, "bob").await);
    users(&data, &["admin", "ada"]);
    let first = bob.upload("first", &song(1)).await;
    let states = async || {
        let jobs = ada.get("/admin/jobs").await.data()["jobs"].clone();
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| format!("{} {}", job["title"].as_str().unwrap(), job["state"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    until("the job is published", async || states().await == ["first waiting"]).await;
    assert_eq!(post(&ada, "/admin/jobs/drain").await.data(), json!({"held": true, "unfinished": 1}));
    let second = bob.upload("second", &song(2)).await;
    assert_eq!(states().await, ["first waiting", "second held"]);
    bob.result(&first, archive()).await.data();
    let jobs = ada.get("/admin/jobs?limit=1").await.data();
    assert_eq!(
        (&jobs["held"], &jobs["unfinished"], &jobs["jobs"][0]["uploader"]),
        (&json!(true), &json!(0), &json!("bob"))
    );
    assert_eq!(post(&ada, "/admin/jobs/resume").await.data()["held"], false);
    until("the job is published", async || states().await == ["second waiting"]).await;

    post(&ada, &format!("/admin/songs/{}/requeue", id(&first))).await.refused(409, "conflict");
    let fail = format!("/songs/{}/fail", second["hash"].as_str().unwrap());
    Browser::send(bob.request(Method::POST, &fail).bearer_auth(WORKER_TOKEN).form(&[("reason", "too loud")]))
        .await
        .data();
    assert_eq!(ada.get("/admin/songs?status=FAILED").await.data()["songs"][0]["failure"], "too loud");
    let again = post(&ada, &format!("/admin/songs/{}/requeue", id(&second))).await.data();
    assert_eq!((&again["song"]["id"], &again["song"]["status"]), (&second["id"], &json!("UPLOADED")));
    let entries = ada.get("/admin/audit?limit=3").await.data()["entries"].clone();
    let actions: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["song_requeued", "jobs_released", "jobs_held"]);
}
