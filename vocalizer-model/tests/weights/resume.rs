//! Interrupted downloads: received bytes are kept, and only the rest is requested.

use std::time::Duration;

use vocalizer_model::weights::NoListener;

use super::fetch::{FILE, Recorder, TestModel, fetcher};
use super::server::{Response, Server};
use super::support::tiny;

fn fetched(model: &TestModel) -> bool {
    std::fs::read(model.target()).expect("a file") == tiny() && !model.part().exists()
}

/// A cache with a partial file.
fn with_partial_file(part: &[u8]) -> TestModel {
    let model = TestModel::new(&tiny());
    std::fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    std::fs::write(model.part(), part).expect("a file");
    model
}

/// A hub that serves everything.
fn full_hub() -> Server {
    let file = tiny();
    Server::start(move |_, request| Response::ranged(&file, request))
}

#[test]
fn dropped_connection_is_resumed() {
    let file = tiny();
    let model = TestModel::new(&file);
    let (third, total) = (file.len() / 3, file.len() as u64);
    let hub = Server::start(move |number, request| {
        let answer = Response::ranged(&file, request);
        if number < 2 { answer.cut(third) } else { answer }
    });
    let mut recorder = Recorder::default();
    model.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file");
    assert!(fetched(&model));
    assert_eq!(hub.ranges(), [None, Some(third), Some(2 * third)]);
    assert!(recorder.progress.is_sorted());
    assert_eq!(recorder.progress.last(), Some(&(total, total)));
    assert_eq!(recorder.lines.len(), 1, "{:?}", recorder.lines);
}

#[test]
fn failed_fetch_is_resumed_by_next_one() {
    let file = tiny();
    let model = TestModel::new(&file);
    let half = file.len() / 2;
    let hub = Server::start(move |number, request| match number {
        0 => Response::ranged(&file, request).cut(half),
        _ => Response::status("404 Gone"),
    });
    assert!(model.refused(&hub.url()).contains("404"));
    assert_eq!(model.names(), ["net.safetensors.lock".to_owned(), format!("{FILE}.part")]);

    let hub = full_hub();
    let mut recorder = Recorder::default();
    model.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file");
    assert!(fetched(&model));
    assert_eq!(hub.ranges(), [Some(half)]);
    assert_eq!(recorder.progress.first().map(|(done, _)| *done), Some(half as u64));
}

#[test]
fn hub_that_keeps_disconnecting_is_given_up() {
    let file = tiny();
    let model = TestModel::new(&file);
    let half = file.len() / 2;
    let hub =
        Server::start(move |number, request| Response::ranged(&file, request).cut(if number == 0 { half } else { 0 }));
    let patient = fetcher(&hub.url()).with_timeout(Duration::from_secs(3));
    model.fetch_with(&patient, &mut NoListener).expect_err("an error");
    assert!(!model.target().exists());
    assert_eq!(std::fs::metadata(model.part()).expect("the partial file").len(), half as u64);
    assert!(hub.requests().len() > 2, "given up at the first disconnect");
    assert!(hub.ranges()[1..].iter().all(|from| *from == Some(half)));
}

#[test]
fn overloaded_hub_is_retried_after_progress() {
    let file = tiny();
    let model = TestModel::new(&file);
    let half = file.len() / 2;
    let hub = Server::start(move |number, request| match number {
        0 => Response::ranged(&file, request).cut(half),
        1 => Response::status("503 Busy"),
        _ => Response::ranged(&file, request),
    });
    model.fetch(&hub.url()).expect("a file");
    assert!(fetched(&model));
    assert_eq!(hub.ranges(), [None, Some(half), Some(half)]);
}

#[test]
fn hub_without_ranges_restarts_download() {
    let file = tiny();
    let model = with_partial_file(&file[..1000]);
    let hub = Server::start(move |_, _| Response::whole(&file));
    model.fetch(&hub.url()).expect("a file");
    assert!(fetched(&model));
    assert_eq!(hub.ranges(), [Some(1000)]);
}

#[test]
fn partial_file_with_wrong_content_is_discarded() {
    for length in [1000, tiny().len(), tiny().len() + 1] {
        let model = with_partial_file(&vec![7; length]);
        let hub = full_hub();
        model.fetch(&hub.url()).expect("a file");
        assert!(fetched(&model));
        assert_eq!(hub.ranges().last(), Some(&None), "{length}");
    }
}

#[test]
fn complete_partial_file_is_used() {
    let model = with_partial_file(&tiny());
    let hub = full_hub();
    model.fetch(&hub.url()).expect("a file");
    assert!(fetched(&model));
    assert_eq!(hub.requests(), []);
}

#[test]
fn wrong_content_range_is_rejected() {
    let total = tiny().len();
    for range in
        ["", "\r\nContent-Range: bytes", "\r\nContent-Range: bytes 0-999/TOTAL", "\r\nContent-Range: bytes 1000-1999/9"]
    {
        let model = with_partial_file(&tiny()[..1000]);
        let head = format!("206 Partial\r\nContent-Length: 1000{}", range.replace("TOTAL", &total.to_string()));
        let hub = Server::start(move |_, _| Response::Say(head.clone(), vec![0; 1000]));
        model.refused(&hub.url());
        assert_eq!(std::fs::read(model.part()).expect("the partial file"), &tiny()[..1000], "{range}");
    }
}

#[test]
fn redirects_keep_the_range() {
    let file = tiny();
    let model = with_partial_file(&file[..1000]);
    let cdn = full_hub();
    let to = format!("302 Found\r\nContent-Length: 0\r\nLocation: {}/blobs/1?signed=yes", cdn.url());
    let hub = Server::start(move |_, _| Response::Say(to.clone(), Vec::new()));
    model.fetch(&hub.url()).expect("a file");
    assert!(fetched(&model));
    let asked = cdn.requests();
    let [only] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((only.path.as_str(), only.from), ("/blobs/1?signed=yes", Some(1000)));
}

#[test]
fn endless_redirects_are_rejected() {
    let model = TestModel::new(&tiny());
    let hub =
        Server::start(|_, _| Response::Say("302 Found\r\nContent-Length: 0\r\nLocation: /again".into(), Vec::new()));
    assert!(!model.refused(&hub.url()).is_empty());
    assert!(hub.requests().len() < 50);
}
