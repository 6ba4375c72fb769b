//! Interrupted downloads: received bytes are kept, and only the rest is requested.

use std::time::Duration;

use vocalizer_model::weights::NoListener;

use super::fetch::{FILE, Place, Recorder, fetcher};
use super::server::{Answer, Server};
use super::support::tiny;

fn fetched(place: &Place) -> bool {
    std::fs::read(place.target()).expect("a file") == tiny() && !place.part().exists()
}

/// A cache with a partial file.
fn with_partial_file(part: &[u8]) -> Place {
    let place = Place::new(&tiny());
    std::fs::create_dir_all(place.cache.models_dir()).expect("a folder");
    std::fs::write(place.part(), part).expect("a file");
    place
}

/// A hub that serves everything.
fn full_hub() -> Server {
    let file = tiny();
    Server::start(move |_, request| Answer::ranged(&file, request))
}

#[test]
fn dropped_connection_is_resumed() {
    let file = tiny();
    let place = Place::new(&file);
    let (third, total) = (file.len() / 3, file.len() as u64);
    let hub = Server::start(move |number, request| {
        let answer = Answer::ranged(&file, request);
        if number < 2 { answer.cut(third) } else { answer }
    });
    let mut recorder = Recorder::default();
    place.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [None, Some(third), Some(2 * third)]);
    assert!(recorder.progress.is_sorted());
    assert_eq!(recorder.progress.last(), Some(&(total, total)));
    assert_eq!(recorder.lines.len(), 1, "{:?}", recorder.lines);
}

#[test]
fn failed_fetch_is_resumed_by_next_one() {
    let file = tiny();
    let place = Place::new(&file);
    let half = file.len() / 2;
    let hub = Server::start(move |number, request| match number {
        0 => Answer::ranged(&file, request).cut(half),
        _ => Answer::status("404 Gone"),
    });
    assert!(place.refused(&hub.url()).contains("404"));
    assert_eq!(place.names(), ["net.safetensors.lock".to_owned(), format!("{FILE}.part")]);

    let hub = full_hub();
    let mut recorder = Recorder::default();
    place.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [Some(half)]);
    assert_eq!(recorder.progress.first().map(|(done, _)| *done), Some(half as u64));
}

#[test]
fn hub_that_keeps_disconnecting_is_given_up() {
    let file = tiny();
    let place = Place::new(&file);
    let half = file.len() / 2;
    let hub =
        Server::start(move |number, request| Answer::ranged(&file, request).cut(if number == 0 { half } else { 0 }));
    let patient = fetcher(&hub.url()).with_patience(Duration::from_secs(3));
    place.fetch_with(&patient, &mut NoListener).expect_err("an error");
    assert!(!place.target().exists());
    assert_eq!(std::fs::metadata(place.part()).expect("the partial file").len(), half as u64);
    assert!(hub.requests().len() > 2, "given up at the first disconnect");
    assert!(hub.ranges()[1..].iter().all(|from| *from == Some(half)));
}

#[test]
fn overloaded_hub_is_retried_after_progress() {
    let file = tiny();
    let place = Place::new(&file);
    let half = file.len() / 2;
    let hub = Server::start(move |number, request| match number {
        0 => Answer::ranged(&file, request).cut(half),
        1 => Answer::status("503 Busy"),
        _ => Answer::ranged(&file, request),
    });
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [None, Some(half), Some(half)]);
}

#[test]
fn hub_without_ranges_restarts_download() {
    let file = tiny();
    let place = with_partial_file(&file[..1000]);
    let hub = Server::start(move |_, _| Answer::whole(&file));
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [Some(1000)]);
}

#[test]
fn partial_file_with_wrong_content_is_discarded() {
    for length in [1000, tiny().len(), tiny().len() + 1] {
        let place = with_partial_file(&vec![7; length]);
        let hub = full_hub();
        place.fetch(&hub.url()).expect("a file");
        assert!(fetched(&place));
        assert_eq!(hub.ranges().last(), Some(&None), "{length}");
    }
}

#[test]
fn complete_partial_file_is_used() {
    let place = with_partial_file(&tiny());
    let hub = full_hub();
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.requests(), []);
}

#[test]
fn wrong_content_range_is_rejected() {
    let total = tiny().len();
    for range in
        ["", "\r\nContent-Range: bytes", "\r\nContent-Range: bytes 0-999/TOTAL", "\r\nContent-Range: bytes 1000-1999/9"]
    {
        let place = with_partial_file(&tiny()[..1000]);
        let head = format!("206 Partial\r\nContent-Length: 1000{}", range.replace("TOTAL", &total.to_string()));
        let hub = Server::start(move |_, _| Answer::Say(head.clone(), vec![0; 1000]));
        place.refused(&hub.url());
        assert_eq!(std::fs::read(place.part()).expect("the partial file"), &tiny()[..1000], "{range}");
    }
}

#[test]
fn redirects_keep_the_range() {
    let file = tiny();
    let place = with_partial_file(&file[..1000]);
    let cdn = full_hub();
    let to = format!("302 Found\r\nContent-Length: 0\r\nLocation: {}/blobs/1?signed=yes", cdn.url());
    let hub = Server::start(move |_, _| Answer::Say(to.clone(), Vec::new()));
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    let asked = cdn.requests();
    let [only] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((only.path.as_str(), only.from), ("/blobs/1?signed=yes", Some(1000)));
}

#[test]
fn endless_redirects_are_rejected() {
    let place = Place::new(&tiny());
    let hub =
        Server::start(|_, _| Answer::Say("302 Found\r\nContent-Length: 0\r\nLocation: /again".into(), Vec::new()));
    assert!(!place.refused(&hub.url()).is_empty());
    assert!(hub.requests().len() < 50);
}
