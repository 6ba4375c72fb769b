//! The HTTP contract that clients of the original system rely on.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::support::{Browser, Service, Settings, archive, id, mp3, song, stems};

/// Asserts that the song has the original's keys.
fn assert_song_fields(song: &Value) {
    for key in ["id", "title", "hash", "uploader_id", "status"] {
        assert!(song.get(key).is_some(), "{key} in {song}");
    }
}

#[tokio::test]
async fn song_is_uploaded_split_downloaded_and_deleted() {
    let service = Service::start().await;
    let ada = Browser::registered(&service, "ada").await;
    let uploaded = ada.upload("Clair de lune", &song(1)).await;
    assert_song_fields(&uploaded);
    assert_eq!((&uploaded["title"], uploaded["hash"].as_str().unwrap().len()), (&json!("Clair de lune"), 64));
    assert!(uploaded["uploader_id"].is_string());
    let split = ada.until(&uploaded, "SPLIT").await;
    assert_song_fields(&split);

    let part = async |name: &str| ada.get(&format!("/songs/{}/{name}.mp3", id(&split))).await;
    assert_eq!(part("song").await.bytes, song(1), "the uploaded bytes");
    for (name, expected) in
        [("bass", stems().bass), ("drums", stems().drums), ("other", stems().other), ("vocals", stems().vocals)]
    {
        let answer = part(name).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "audio/mpeg"));
        assert_eq!(answer.bytes, expected, "{name}");
    }

    let listed = ada.get("/songs/").await.data();
    assert_eq!(listed["songs"].as_array().unwrap().len(), 1);
    assert_eq!(ada.get("/songs").await.data(), listed, "with and without the slash");
    assert_eq!(ada.delete(&format!("/songs/{}", id(&split))).await.data(), Value::Null);
    ada.get(&format!("/songs/{}", id(&split))).await.refused(404, "not_found");
    service.stored(0).await;
}

#[tokio::test]
async fn forms_are_accepted_in_three_encodings() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let fields = [("username", "ada"), ("password1", "correct horse"), ("password2", "correct horse")];
    client.post("/auth/register", &fields).await.data();
    let login = || client.request(Method::POST, "/auth/login");
    let json = json!({"username": "ada", "password": "correct horse"});
    Browser::send(login().json(&json)).await.data();
    let form = Form::new().text("username", "ada").text("password", "correct horse");
    Browser::send(login().multipart(form)).await.data();
    assert_eq!(client.get("/auth/me").await.data()["user"]["username"], "ada");
    Browser::send(login().body("username=ada")).await.refused(415, "unsupported");
    Browser::send(login().header("content-type", "text/plain").body("x")).await.refused(415, "unsupported");
}

#[tokio::test]
async fn login_rotates_session_and_logout_ends_it() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let first = ada.login("ada", "correct horse").await;
    let second = ada.login("ADA", "correct horse").await;
    let cookie = |answer: &super::support::Answer| answer.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie(&first).starts_with("session=") && cookie(&first).len() == "session=".len() + 64);
    assert_ne!(cookie(&first), cookie(&second));
    for mark in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(first.header("set-cookie").contains(mark), "{}", first.header("set-cookie"));
    }
    let with = |cookie: String| {
        Browser::send(Browser::new(&service).request(Method::GET, "/auth/me").header("cookie", cookie))
    };
    assert_eq!(with(cookie(&first)).await.data()["user"], Value::Null, "replaced at login");
    assert_eq!(with(cookie(&second)).await.data()["user"]["username"], "ada");
    ada.post("/auth/logout", &[]).await.data();
    assert_eq!(with(cookie(&second)).await.data()["user"], Value::Null, "ended by logout");
}

#[tokio::test]
async fn anonymous_songs_are_public_and_user_songs_private() {
    let service = Service::start().await;
    let (anonymous, ada, bob) = (
        Browser::new(&service),
        Browser::registered(&service, "ada").await,
        Browser::registered(&service, "bob").await,
    );
    let open = anonymous.upload("open", &song(1)).await;
    assert_eq!(open["uploader_id"], Value::Null);
    let private = ada.upload("private", &song(2)).await;
    let titles = |data: Value| -> Vec<String> {
        let songs = data["songs"].as_array().unwrap().clone();
        songs.iter().map(|song| song["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(anonymous.get("/songs/").await.data()), ["open"]);
    assert_eq!(titles(bob.get("/songs/").await.data()), ["open"]);
    assert_eq!(titles(ada.get("/songs/").await.data()), ["private", "open"], "newest first");
    anonymous.until(&open, "SPLIT").await;
    assert_eq!(bob.get(&format!("/songs/{}/vocals.mp3", id(&open))).await.status, 200);
    bob.get(&format!("/songs/{}", id(&private))).await.refused(404, "not_found");
}

#[tokio::test]
async fn open_upload_result_accepts_original_workers() {
    let service = Service::with(Settings { workers: 0, open_upload_result: true, ..Settings::default() }).await;
    let client = Browser::new(&service);
    let waiting = client.upload("x", &song(1)).await;
    let path = format!("/songs/{}/upload_result", waiting["hash"].as_str().unwrap());
    let answer = Browser::send(client.request(Method::POST, &path).body(archive())).await;
    assert_eq!(answer.data(), Value::Null);
    client.until(&waiting, "SPLIT").await;
    assert_eq!(client.get(&format!("/songs/{}/bass.mp3", id(&waiting))).await.bytes, mp3(1));
}

#[tokio::test]
async fn upload_accepts_fields_in_any_order_and_unknown_fields() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let file = || Part::bytes(song(1)).file_name("x.wav").mime_str("audio/wav").unwrap();
    let form = Form::new().text("csrf", "1").part("file", file()).text("title", "last").text("submit", "Go");
    let request = client.request(Method::POST, "/songs/upload").multipart(form);
    assert_eq!(Browser::send(request).await.data()["song"]["title"], "last");
}
