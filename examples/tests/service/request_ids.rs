//! Request IDs in the log.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use vocalizer_core::song::SongHash;

use super::server::Server;
use super::support::{Browser, WORKER_TOKEN, archive, id, song};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_of_a_request_carry_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let browser = server.browser();
    let named = |name: &str, method: Method, path: &str| browser.request(method, path).header("x-request-id", name);
    let bytes = song(1);
    let hash = SongHash::of(&bytes);
    let form = Form::new().text("title", "x").part("file", Part::bytes(bytes).file_name("x.wav"));
    let uploaded = Browser::send(named("the-upload", Method::POST, "/songs/upload").multipart(form)).await;
    assert_eq!(uploaded.header("x-request-id"), "the-upload");
    let uploaded = uploaded.data()["song"].clone();

    let fail = named("the-failure", Method::POST, &format!("/songs/{hash}/fail")).bearer_auth(WORKER_TOKEN);
    Browser::send(fail.form(&[("reason", "not music")])).await.data();
    Browser::send(named("the-retry", Method::POST, &format!("/songs/{}/retry", id(&uploaded)))).await.data();
    let result = named("the-result", Method::POST, &format!("/songs/{hash}/upload_result")).bearer_auth(WORKER_TOKEN);
    Browser::send(result.body(archive())).await.data();
    Browser::send(named("the-deletion", Method::DELETE, &format!("/songs/{}", id(&uploaded)))).await.data();

    for (what, name) in [
        ("song uploaded song=", "the-upload"),
        ("song failed hash=", "the-failure"),
        ("song split hash=", "the-result"),
        ("song moved to the trash song=", "the-deletion"),
    ] {
        server.wait_for_log(&[what, &format!("id={name} ")]).await;
    }
}
