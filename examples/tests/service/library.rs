//! The list of songs, searched, sorted and counted, and what it reports for their files.

use serde_json::{Value, json};

use super::server::sql;
use super::support::{Browser, Service, Settings, archive, id, song, tagged, wav};

fn titles(data: &Value) -> Vec<&str> {
    data["songs"].as_array().unwrap().iter().map(|song| song["title"].as_str().unwrap()).collect()
}

async fn listed(browser: &Browser, query: &str) -> Vec<String> {
    let data = browser.get(&format!("/songs/?{query}")).await.data();
    titles(&data).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn list_is_searched_sorted_and_counted() {
    let service = Service::idle().await;
    let (ada, guest) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    ada.upload("Щёлкни пальцами", &wav(1, 4410)).await;
    guest.upload("Für Elise", &wav(2, 8820)).await;
    ada.upload("abc", &tagged("Édith Piaf", b"\x89PNG\r\n\x1a\n and the rest")).await;
    assert_eq!(listed(&ada, "q=щелкни").await, ["Щёлкни пальцами"]);
    assert_eq!(listed(&guest, "q=щелкни").await, [""; 0]);
    assert_eq!(listed(&ada, "q=edith").await, ["abc"], "the artist");
    assert_eq!(listed(&ada, "q=ABC+piaf").await, ["abc"]);
    assert_eq!(listed(&ada, "q=").await, ["abc", "Für Elise", "Щёлкни пальцами"], "newest first");
    assert_eq!(listed(&ada, "sort=added").await, ["Щёлкни пальцами", "Für Elise", "abc"]);
    assert_eq!(listed(&ada, "sort=-title").await, ["Щёлкни пальцами", "Für Elise", "abc"]);
    assert_eq!(listed(&ada, "sort=-artist&limit=1").await, ["abc"]);
    assert_eq!(listed(&ada, "sort=duration&whose=mine&q=щелкни").await, ["Щёлкни пальцами"]);
    assert_eq!(listed(&ada, "whose=open").await, ["Für Elise"]);
    assert_eq!(listed(&guest, "whose=mine").await, [""; 0]);
    let page = ada.get("/songs/?sort=title&limit=2&total").await.data();
    assert_eq!((titles(&page), &page["total"]), (vec!["abc", "Für Elise"], &json!(3)));
    let next = page["next"].as_str().unwrap();
    assert_eq!(listed(&ada, &format!("sort=title&limit=2&after={next}")).await, ["Щёлкни пальцами"]);
    assert_eq!(ada.get("/songs/?q=elise&total").await.data()["total"], 1);
    assert_eq!(ada.get("/songs/").await.data().get("total"), None);

    ada.get(&format!("/songs/?sort=artist&after={next}")).await.refused_field(422, "invalid", "after");
    ada.get(&format!("/songs/?q={}", "x".repeat(201))).await.refused_field(422, "invalid", "q");
    // A cursor whose title has a character that PostgreSQL cannot store.
    let with_nul = "/songs/?sort=title&after=title.AA_7c9e6679-7425-40de-944b-e07fc1f90ae7";
    ada.get(with_nul).await.refused_field(422, "invalid", "after");
    for bad in ["sort=size", "sort=", "sort=--title", "whose=his", "q=a&after=x"] {
        let field = bad.rsplit('&').next().unwrap().split('=').next().unwrap();
        ada.get(&format!("/songs/?{bad}")).await.refused_field(422, "invalid", field);
    }
}

/// Pages in every order have every song once.
#[tokio::test]
async fn pages_of_every_order_are_contiguous() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    for number in 0..9 {
        let uploaded = browser.upload(&format!("song {}", number / 2), &song(number)).await;
        if number % 3 == 0 {
            browser.result(&uploaded, archive()).await.data();
        }
    }
    for sort in ["added", "title", "artist", "duration", "status"] {
        for sort in [sort.to_owned(), format!("-{sort}")] {
            let whole = browser.get(&format!("/songs/?sort={sort}")).await.data();
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = browser.get(&format!("/songs/?sort={sort}&limit=2{after}")).await.data();
                seen.extend(page["songs"].as_array().unwrap().clone());
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={next}");
            }
            assert_eq!(Value::Array(seen), whole["songs"], "{sort}");
            let statuses: Vec<_> = whole["songs"].as_array().unwrap().iter().map(|song| &song["status"]).collect();
            match sort.as_str() {
                "status" => assert_eq!((statuses[0], statuses[8]), (&json!("UPLOADED"), &json!("SPLIT"))),
                "-status" => assert_eq!((statuses[0], statuses[8]), (&json!("SPLIT"), &json!("UPLOADED"))),
                _ => {}
            }
        }
    }
    assert_eq!(listed(&browser, "sort=status&status=SPLIT").await.len(), 3);
    // The cursor of the default order is the same with and without a search.
    let page = browser.get("/songs/?limit=4").await.data();
    let next = page["next"].as_str().unwrap();
    assert_eq!(listed(&browser, &format!("q=song&after={next}")).await.len(), 5);
    assert_eq!(listed(&browser, &format!("after={next}")).await.len(), 5);
}

#[tokio::test]
async fn details_have_length_artist_and_cover() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let tagged = browser.upload("tagged", &tagged("Édith Piaf", b"\x89PNG\r\n\x1a\n and the rest")).await;
    let plain = browser.upload("plain", &wav(1, 44_100)).await;
    let detailed = |song: Value| async move {
        let browser = browser.clone();
        browser.get(&format!("/songs/{}?details", id(&song))).await.data()["song"].clone()
    };
    assert_eq!((tagged.get("artist"), tagged.get("duration_ms")), (None, None), "only on request");
    let song = detailed.clone()(tagged).await;
    assert_eq!((&song["artist"], &song["has_cover"]), (&json!("Édith Piaf"), &json!(true)));
    let song = detailed(plain).await;
    assert_eq!((song.get("artist"), &song["has_cover"]), (None, &json!(false)));
    assert_eq!(song["duration_ms"], 1000);
}

/// Songs that an earlier version stored are found as soon as the sweep has seen them.
#[tokio::test]
async fn songs_of_an_earlier_version_are_found_after_the_sweep() {
    let service = Service::with(Settings { workers: 0, ..Settings::default() }).await;
    let browser = Browser::new(&service);
    browser.upload("Ёлка", &song(1)).await;
    browser.upload("b", &song(2)).await;
    sql(&service.database(), "UPDATE songs SET title_key = '', artist_key = ''");
    assert_eq!(listed(&browser, "q=елка").await, [""; 0]);
    assert_eq!(listed(&browser, "sort=title").await.len(), 2, "nothing is missing");
    service.songs.sweep().await.unwrap();
    assert_eq!(listed(&browser, "q=елка").await, ["Ёлка"]);
    assert_eq!(listed(&browser, "sort=title").await, ["b", "Ёлка"]);
}
