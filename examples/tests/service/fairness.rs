//! The order in which songs of several users are split, and priorities.

use reqwest::Method;
use serde_json::Value;

use super::server::{Server, admin};
use super::support::{Browser, Service, WORKER_TOKEN, id, song};

async fn position(browser: &Browser, song: &Value) -> Option<u64> {
    browser.get(&format!("/songs/{}", id(song))).await.data()["song"]["queue_position"].as_u64()
}

/// Leases the next job as a remote worker and returns the hash of its song.
async fn lease(browser: &Browser) -> String {
    let request = browser.request(Method::POST, "/jobs/lease").bearer_auth(WORKER_TOKEN).form(&[("wait_s", "0")]);
    Browser::send(request).await.data()["job"]["hash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn song_of_another_user_is_next_after_fifty_uploads() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let mut songs = Vec::new();
    for number in 0..50 {
        songs.push(ada.upload("many", &song(number)).await);
    }
    let one = bob.upload("one", &song(50)).await;
    assert_eq!(position(&bob, &one).await, Some(1), "one of the other user's songs is before it");
    let listed = ada.get("/songs/?status=UPLOADED").await.data();
    let mut positions: Vec<_> =
        listed["songs"].as_array().unwrap().iter().map(|song| song["queue_position"].as_u64().unwrap()).collect();
    positions.sort_unstable();
    assert_eq!(positions, (0..51).filter(|position| *position != 1).collect::<Vec<_>>());

    songs.insert(1, one);
    for song in songs {
        let owner = if song["title"] == "one" { &bob } else { &ada };
        assert_eq!(position(owner, &song).await, Some(0), "before its lease");
        assert_eq!(lease(owner).await, song["hash"].as_str().unwrap());
        assert_eq!(position(owner, &song).await, None, "leased");
    }
}

#[tokio::test]
async fn shared_file_is_split_at_the_earlier_of_two_places() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let mut songs = Vec::new();
    for number in 0..5 {
        songs.push(ada.upload("x", &song(number)).await);
    }
    assert_eq!(position(&ada, &songs[4]).await, Some(4));
    let shared = bob.upload("the same file as the last", &song(4)).await;
    assert_eq!((position(&ada, &songs[4]).await, position(&bob, &shared).await), (Some(1), Some(1)));
    // Ada's own upload of a file that waits changes nothing.
    ada.upload("again", &song(3)).await;
    for at in [0, 4, 1, 2, 3] {
        assert_eq!(lease(&ada).await, songs[at]["hash"].as_str().unwrap(), "song {at}");
    }
}

#[tokio::test]
async fn higher_priority_is_split_first() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let slow = ada.upload("slow", &song(1)).await;
    let user = bob.get("/auth/me").await.data()["user"]["id"].as_str().unwrap().parse().unwrap();
    service.songs.repository().set_priority(user, 5).await.unwrap();
    let urgent = bob.upload("urgent", &song(2)).await;
    assert_eq!((position(&bob, &urgent).await, position(&ada, &slow).await), (Some(0), Some(1)));
    // It also moves a waiting file ahead.
    let shared = ada.upload("shared", &song(3)).await;
    assert_eq!(position(&ada, &shared).await, Some(2));
    bob.upload("shared", &song(3)).await;
    assert_eq!(position(&ada, &shared).await, Some(1));
    // A deleted song leaves the queue.
    bob.delete(&format!("/songs/{}", id(&urgent))).await.data();
    assert_eq!(position(&ada, &shared).await, Some(0));
}

#[tokio::test]
async fn operator_sets_priority_while_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, &[]);
    server.browser().register("ada", "correct horse").await.data();
    for arguments in [["priority", "ada", "-3"], ["priority", "Ada", "7"]] {
        let set = admin(&data, &arguments);
        assert!(set.status.success(), "{set:?}");
        assert!(String::from_utf8(set.stdout).unwrap().starts_with("the songs that ada uploads have priority "));
    }
    for (arguments, code, expected) in [
        (["priority", "bob", "1"], 1, "there is no user bob"),
        (["priority", "b b", "1"], 2, "USERNAME"),
        (["priority", "ada", "1001"], 2, "1001"),
    ] {
        let refused = admin(&data, &arguments);
        assert_eq!(refused.status.code(), Some(code), "{refused:?}");
        assert!(String::from_utf8(refused.stderr).unwrap().contains(expected));
    }
}
