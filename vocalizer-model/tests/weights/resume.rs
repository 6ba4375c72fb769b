//! Fetching that is cut: what came is kept, and what is missing asked for.

use std::time::Duration;

use vocalizer_model::weights::NoListener;

use super::fetch::{FILE, Heard, Place, fetcher};
use super::server::{Answer, Server};
use super::support::tiny;

fn fetched(place: &Place) -> bool {
    std::fs::read(place.target()).expect("a file") == tiny() && !place.part().exists()
}

/// A place where so much of the file has come already.
fn begun(part: &[u8]) -> Place {
    let place = Place::new(&tiny());
    std::fs::create_dir_all(place.cache.models_dir()).expect("a folder");
    std::fs::write(place.part(), part).expect("a file");
    place
}

/// A hub that gives everything.
fn whole() -> Server {
    let file = tiny();
    Server::start(move |_, request| Answer::ranged(&file, request))
}

#[test]
fn a_connection_that_is_cut_is_gone_on_with() {
    let file = tiny();
    let place = Place::new(&file);
    let (third, total) = (file.len() / 3, file.len() as u64);
    let hub = Server::start(move |number, request| {
        let answer = Answer::ranged(&file, request);
        if number < 2 { answer.cut(third) } else { answer }
    });
    let mut heard = Heard::default();
    place.fetch_with(&fetcher(&hub.url()), &mut heard).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [None, Some(third), Some(2 * third)]);
    assert!(heard.progress.is_sorted());
    assert_eq!(heard.progress.last(), Some(&(total, total)));
    assert_eq!(heard.lines.len(), 1, "{:?}", heard.lines);
}

#[test]
fn a_fetch_that_failed_is_gone_on_with_by_the_next() {
    let file = tiny();
    let place = Place::new(&file);
    let half = file.len() / 2;
    let hub = Server::start(move |number, request| match number {
        0 => Answer::ranged(&file, request).cut(half),
        _ => Answer::status("404 Gone"),
    });
    assert!(place.refused(&hub.url()).contains("404"));
    assert_eq!(place.names(), ["net.safetensors.lock".to_owned(), format!("{FILE}.part")]);

    let hub = whole();
    let mut heard = Heard::default();
    place.fetch_with(&fetcher(&hub.url()), &mut heard).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [Some(half)]);
    assert_eq!(heard.progress.first().map(|(done, _)| *done), Some(half as u64));
}

#[test]
fn a_hub_that_keeps_cutting_is_left_in_the_end() {
    let file = tiny();
    let place = Place::new(&file);
    let half = file.len() / 2;
    let hub =
        Server::start(move |number, request| Answer::ranged(&file, request).cut(if number == 0 { half } else { 0 }));
    let patient = fetcher(&hub.url()).with_patience(Duration::from_secs(3));
    place.fetch_with(&patient, &mut NoListener).expect_err("a refusal");
    assert!(!place.target().exists());
    assert_eq!(std::fs::metadata(place.part()).expect("what came").len(), half as u64);
    assert!(hub.requests().len() > 2, "given up at the first cut");
    assert!(hub.ranges()[1..].iter().all(|from| *from == Some(half)));
}

#[test]
fn an_overloaded_hub_that_has_been_giving_is_asked_again() {
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
fn a_hub_without_ranges_starts_again() {
    let file = tiny();
    let place = begun(&file[..1000]);
    let hub = Server::start(move |_, _| Answer::whole(&file));
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.ranges(), [Some(1000)]);
}

#[test]
fn the_beginning_of_something_else_is_thrown_away() {
    for length in [1000, tiny().len(), tiny().len() + 1] {
        let place = begun(&vec![7; length]);
        let hub = whole();
        place.fetch(&hub.url()).expect("a file");
        assert!(fetched(&place));
        assert_eq!(hub.ranges().last(), Some(&None), "{length}");
    }
}

#[test]
fn all_of_the_file_left_by_a_killed_fetch_is_used() {
    let place = begun(&tiny());
    let hub = whole();
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    assert_eq!(hub.requests(), []);
}

#[test]
fn another_part_than_was_asked_for_is_refused() {
    let total = tiny().len();
    for range in
        ["", "\r\nContent-Range: bytes", "\r\nContent-Range: bytes 0-999/TOTAL", "\r\nContent-Range: bytes 1000-1999/9"]
    {
        let place = begun(&tiny()[..1000]);
        let head = format!("206 Partial\r\nContent-Length: 1000{}", range.replace("TOTAL", &total.to_string()));
        let hub = Server::start(move |_, _| Answer::Say(head.clone(), vec![0; 1000]));
        place.refused(&hub.url());
        assert_eq!(std::fs::read(place.part()).expect("what came"), &tiny()[..1000], "{range}");
    }
}

#[test]
fn redirects_are_followed_with_the_range() {
    let file = tiny();
    let place = begun(&file[..1000]);
    let cdn = whole();
    let to = format!("302 Found\r\nContent-Length: 0\r\nLocation: {}/blobs/1?signed=yes", cdn.url());
    let hub = Server::start(move |_, _| Answer::Say(to.clone(), Vec::new()));
    place.fetch(&hub.url()).expect("a file");
    assert!(fetched(&place));
    let asked = cdn.requests();
    let [only] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((only.path.as_str(), only.from), ("/blobs/1?signed=yes", Some(1000)));
}

#[test]
fn redirects_without_end_are_refused() {
    let place = Place::new(&tiny());
    let hub =
        Server::start(|_, _| Answer::Say("302 Found\r\nContent-Length: 0\r\nLocation: /again".into(), Vec::new()));
    assert!(!place.refused(&hub.url()).is_empty());
    assert!(hub.requests().len() < 50);
}
