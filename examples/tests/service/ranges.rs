//! `Range` requests: valid, past the end, invalid and multiple.

use reqwest::Method;
use reqwest::header::RANGE;
use serde_json::Value;

use super::support::{Answer, Browser, Service, archive, id, song, stems};

async fn split(service: &Service) -> (Browser, Value) {
    let client = Browser::new(service);
    let uploaded = client.upload("x", &song(1)).await;
    client.result(&uploaded, archive()).await.data();
    (client, uploaded)
}

async fn ask(browser: &Browser, path: &str, range: &str) -> Answer {
    Browser::send(browser.request(Method::GET, path).header(RANGE, range)).await
}

#[tokio::test]
async fn valid_range_returns_exactly_that_part() {
    let service = Service::idle().await;
    let (client, uploaded) = split(&service).await;
    for (part, whole) in [("song", song(1)), ("vocals", stems().vocals.to_vec())] {
        let (path, len) = (format!("/songs/{}/{part}.mp3", id(&uploaded)), whole.len());
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=2-5", 2, 5),
            ("bytes=5-", 5, len - 1),
            ("bytes=-5", len - 5, len - 1),
            ("bytes=0-999999999", 0, len - 1),
            ("bytes=-999999999", 0, len - 1),
            ("bytes=0-18446744073709551615", 0, len - 1),
            ("bytes=0-18446744073709551616", 0, len - 1),
            ("bytes=7-99999999999999999999999999999999999999999", 7, len - 1),
            ("bytes=-99999999999999999999999999999999999999999", 0, len - 1),
        ] {
            let answer = ask(&client, &path, range).await;
            assert_eq!(answer.status, 206, "{range}");
            assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/{len}"), "{range}");
            assert_eq!(answer.header("content-length"), (last - first + 1).to_string(), "{range}");
            assert_eq!(answer.bytes, whole[first..=last], "{range}");
        }
    }
}

#[tokio::test]
async fn range_past_end_returns_416_with_length() {
    let service = Service::idle().await;
    let (client, uploaded) = split(&service).await;
    for (part, len) in [("song", song(1).len()), ("vocals", stems().vocals.len())] {
        let path = format!("/songs/{}/{part}.mp3", id(&uploaded));
        for range in [
            "bytes=-0".to_owned(),
            format!("bytes={len}-"),
            format!("bytes={len}-{len}"),
            "bytes=999999999-".to_owned(),
            "bytes=18446744073709551615-".to_owned(),
            "bytes=18446744073709551616-".to_owned(),
            "bytes=99999999999999999999999999999999999999-99999999999999999999999999999999999999".to_owned(),
        ] {
            let answer = ask(&client, &path, &range).await;
            assert_eq!(answer.status, 416, "{range}");
            answer.refused(416, "range_not_satisfiable");
            assert_eq!(answer.header("content-range"), format!("bytes */{len}"), "{range}");
            assert_eq!(answer.header("content-type"), "application/json", "{range}");
        }
    }
}

#[tokio::test]
async fn invalid_or_multiple_ranges_return_whole_file() {
    let service = Service::idle().await;
    let (client, uploaded) = split(&service).await;
    let thousand = format!("bytes={}", vec!["0-1"; 1000].join(","));
    let overlapping = format!("bytes={}", (0..1000).map(|n| format!("{n}-")).collect::<Vec<_>>().join(","));
    let path = format!("/songs/{}/song.mp3", id(&uploaded));
    for range in [
        "bytes=5-2",
        "bytes=",
        "bytes=-",
        "bytes=--5",
        "bytes=5",
        "bytes=a-b",
        "bytes=0x0-0x5",
        "bytes=+0-5",
        "bytes=0-5-9",
        "bytes=0.5-2",
        "bytes 0-5",
        "items=0-5",
        "",
        &thousand,
        &overlapping,
        "bytes=0-1,5-2",
        "bytes=0-1,-1",
    ] {
        let answer = ask(&client, &path, range).await;
        assert_eq!((answer.status, answer.header("content-range")), (200, ""), "{range:.40}");
        assert_eq!(answer.bytes, song(1), "{range:.40}");
    }
    let twice = client.request(Method::GET, &path).header(RANGE, "bytes=0-1").header(RANGE, "bytes=2-3");
    assert_eq!(Browser::send(twice).await.bytes, song(1));
    let head = Browser::send(client.request(Method::HEAD, &path).header(RANGE, "bytes=0-1")).await;
    assert_eq!((head.status, head.header("content-length")), (200, &*song(1).len().to_string()));
}
