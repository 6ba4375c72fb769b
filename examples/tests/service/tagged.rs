//! Covers and lyrics in the tags of songs.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Browser, Service, id, song, tagged, wav, with_lyrics};

/// A picture of 300 × 200 pixels, all red.
fn red() -> Vec<u8> {
    let (width, height, header) = (300_u32, 200_u32, 54_u32);
    let pixels = [0, 0, 255].repeat((width * height) as usize);
    let size = (header + width * height * 3).to_le_bytes();
    let (width, height) = (width.to_le_bytes(), height.to_le_bytes());
    let file = [&b"BM"[..], &size, &[0; 4], &header.to_le_bytes()].concat();
    let picture = [&40_u32.to_le_bytes()[..], &width, &height, &[1, 0, 24, 0], &[0; 24]].concat();
    [file, picture, pixels].concat()
}

fn path(song: &Value) -> String {
    format!("/songs/{}/cover", id(song))
}

#[tokio::test]
async fn cover_is_made_once_and_deleted_with_its_song() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let song = client.upload("La vie en rose", &tagged("Édith Piaf", &red())).await;
    let head = Browser::send(client.request(Method::HEAD, &path(&song))).await;
    assert_eq!((head.status, head.header("content-type")), (200, "image/jpeg"));
    assert_eq!(service.cached(), Vec::<String>::new(), "HEAD makes nothing");

    let cover = client.get(&path(&song)).await;
    assert_eq!((cover.status, cover.header("content-type")), (200, "image/jpeg"));
    assert!(cover.bytes.starts_with(&[0xff, 0xd8, 0xff]) && cover.bytes.len() < 10_000, "{} bytes", cover.bytes.len());
    assert_eq!(service.cached(), ["song.cover"]);
    let again = client.request(Method::GET, &path(&song)).header("if-none-match", cover.header("etag"));
    assert_eq!(Browser::send(again).await.status, 304);
    client.delete(&format!("/songs/{}", id(&song))).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn song_without_a_cover_or_with_a_damaged_one_has_none() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let damaged = tagged("Édith Piaf", &red()[..1_000]);
    for (file, cached) in [(song(1), vec![]), (damaged, vec!["song.cover"])] {
        let song = client.upload("La vie en rose", &file).await;
        for _ in 0..2 {
            let message = client.get(&path(&song)).await.refused(404, "not_found");
            assert!(message.contains("cover"), "{message}");
        }
        assert_eq!(service.cached(), cached, "a damaged cover is not decoded again");
    }
    client.get("/songs/0198c3a0-0000-7000-8000-000000000000/cover").await.refused(404, "not_found");
}

#[tokio::test]
async fn cover_belongs_to_who_may_hear_the_song() {
    let service = Service::idle().await;
    let (ada, eve) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let song = ada.upload("mine", &tagged("Ada", &red())).await;
    eve.get(&path(&song)).await.refused(404, "not_found");
    assert_eq!(ada.get(&path(&song)).await.status, 200);
    eve.get(&path(&song)).await.refused(404, "not_found");
    let share = ada.post(&format!("/songs/{}/shares", id(&song)), &[]).await.data()["secret"].clone();
    let request = eve.request(Method::GET, &path(&song)).bearer_auth(share.as_str().unwrap());
    assert_eq!(Browser::send(request).await.status, 200);
}

#[tokio::test]
async fn lyrics_are_read_once_and_belong_to_who_may_hear_the_song() {
    let service = Service::idle().await;
    let (ada, eve) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let text = "[00:01.00]Quand il me prend dans ses bras\r\n[00:05.50]Il me parle tout bas";
    let song = ada.upload("La vie en rose", &with_lyrics(text)).await;
    let path = format!("/songs/{}/lyrics", id(&song));
    eve.get(&path).await.refused(404, "not_found");
    let head = Browser::send(ada.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.header("content-type")), (200, "application/json"));
    assert_eq!(service.cached(), Vec::<String>::new(), "HEAD makes nothing");
    for _ in 0..2 {
        assert_eq!(ada.get(&path).await.data(), json!({"lyrics": text.replace('\r', "")}));
        assert_eq!(service.cached(), ["song.lyrics"]);
    }
    let plain = ada.upload("plain", &wav(1, 4_410)).await;
    assert_eq!(ada.get(&format!("/songs/{}/lyrics", id(&plain))).await.data(), json!({"lyrics": null}));
}
