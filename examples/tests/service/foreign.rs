//! Kills the server at random moments while clients write and another program opens and closes the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::task::JoinSet;

use super::server::Server;
use super::support::{Answer, Browser, archive, from_address, id, random, song, stems};

/// Number of kills; `VOCALIZER_FOREIGN_ROUNDS` sets another.
fn rounds() -> u32 {
    std::env::var("VOCALIZER_FOREIGN_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap())
}

/// Opens and closes a database in a loop: short reads, long reads and backups. Writes the count to a file.
const READER: &str = "
import os, random, sqlite3, sys, time
database, copy, counter = sys.argv[1:]
done = 0
while True:
    try:
        c = sqlite3.connect(f'file:{database}?mode=rw', uri=True)
        what = random.randrange(4)
        if what == 0:
            to = sqlite3.connect(copy)
            c.backup(to)
            assert to.execute('PRAGMA integrity_check').fetchone() == ('ok',)
            to.close()
            os.remove(copy)
        elif what == 1:
            c.execute('BEGIN')
            c.execute('SELECT count(*) FROM songs').fetchall()
            time.sleep(random.random() / 5)
        else:
            c.execute('SELECT 1 FROM sqlite_schema').fetchall()
        c.close()
        done += 1
        with open(counter + '.new', 'w') as file:
            file.write(str(done))
        os.replace(counter + '.new', counter)
    except sqlite3.OperationalError:
        time.sleep(0.01)
";

/// The reading process. Dropping it kills the process.
struct Reader(Child);

impl Reader {
    fn start(data: &Path, counter: &Path) -> Self {
        let (database, copy) = (data.join("vocalizer.db"), data.with_extension("copy"));
        Self(Command::new("python3").args(["-c", READER]).args([&database, &copy]).arg(counter).spawn().unwrap())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the server has acknowledged. Unacknowledged requests may have taken effect or not.
#[derive(Default)]
struct Acknowledged {
    /// Songs by ID, with the number that generates their bytes.
    songs: BTreeMap<String, u32>,
    split: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Users and their passwords.
    users: BTreeMap<String, String>,
}

type Shared = Arc<Mutex<Acknowledged>>;

/// Returns the successful response, or `None` if the server is gone.
async fn ask(request: RequestBuilder) -> Option<Answer> {
    let answer = Browser::try_send(request).await.ok()?;
    answer.data();
    Some(answer)
}

async fn upload_and_delete(browser: Browser, numbers: std::ops::Range<u32>, shared: Shared) -> Option<()> {
    for number in numbers {
        let uploaded = ask(browser.upload_request("x", song(number))).await?.data()["song"].clone();
        shared.lock().unwrap().songs.insert(id(&uploaded).to_owned(), number);
        match number % 4 {
            0 => {
                ask(browser.result_request(&uploaded, archive())).await?;
                shared.lock().unwrap().split.insert(id(&uploaded).to_owned());
            }
            1 => {
                shared.lock().unwrap().songs.remove(id(&uploaded));
                ask(browser.request(Method::DELETE, &format!("/songs/{}", id(&uploaded)))).await?;
                shared.lock().unwrap().deleted.insert(id(&uploaded).to_owned());
            }
            _ => {}
        }
    }
    Some(())
}

async fn register_and_change(server: Browser, round: u32, shared: Shared) -> Option<()> {
    const CHANGE: [(&str, &str); 3] =
        [("old_password", "the first one"), ("password1", "another one"), ("password2", "another one")];
    for number in 0.. {
        let (browser, name) = (server.new_client(), format!("user{round}.{number}"));
        ask(from_address((round << 8) | number, browser.register_request(&name, "the first one"))).await?;
        shared.lock().unwrap().users.insert(name.clone(), "the first one".to_owned());
        if number % 2 == 1 {
            // During the change either password may be valid.
            shared.lock().unwrap().users.remove(&name);
            let change = browser.request(Method::POST, "/auth/password").form(&CHANGE);
            ask(from_address((round << 8) | number, change)).await?;
            shared.lock().unwrap().users.insert(name, "another one".to_owned());
        }
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_beside_foreign_reader_lose_no_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let (data, counter) = (dir.path().join("data"), dir.path().join("count"));
    let (shared, mut reader, mut checked) = (Shared::default(), None, BTreeSet::<String>::new());
    let start = || Server::with(&data, &["--trusted-proxies", "127.0.0.1/32"]);
    for round in 0..rounds() {
        let server = start();
        reader.get_or_insert_with(|| Reader::start(&data, &counter));
        let mut clients = JoinSet::new();
        for client in 0..3 {
            let first = (round * 3 + client) * 10_000;
            clients.spawn(upload_and_delete(server.browser(), first..first + 10_000, Arc::clone(&shared)));
        }
        clients.spawn(register_and_change(server.browser(), round, Arc::clone(&shared)));
        tokio::time::sleep(Duration::from_millis(50 + random(600))).await;
        drop(server);
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }

        let server = start();
        if round + 1 == rounds() {
            // Check all songs again, but only some users, because logins are slow.
            checked = checked.into_iter().filter(|name| name.starts_with("user")).skip(100).collect();
        }
        check(&server.browser(), &shared, &mut checked, round).await;
        // Dropping this server is another kill, shortly after startup.
    }
    // The reader may be slower than the kills. It exits if a backup is damaged.
    let read = loop {
        let ended = reader.as_mut().map(|Reader(process)| process.try_wait().unwrap());
        assert_eq!(ended, Some(None), "the reader failed");
        match std::fs::read_to_string(&counter).map(|count| count.parse::<u32>().unwrap()) {
            Ok(read) if read > rounds() => break read,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let Acknowledged { songs, split, deleted, users } = &*shared.lock().unwrap();
    println!(
        "{} kills, {read} openings by another program: {} songs ({} split), {} deletions, {} users",
        2 * rounds(),
        songs.len(),
        split.len(),
        deleted.len(),
        users.len(),
    );
}

/// All songs by ID.
async fn all(browser: &Browser) -> BTreeMap<String, Value> {
    let (mut listed, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = browser.get(&format!("/songs/?limit=1000{after}")).await.data();
        listed.extend(page["songs"].as_array().unwrap().iter().map(|song| (id(song).to_owned(), song.clone())));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return listed,
        }
    }
}

/// Compares the list with what was acknowledged, and the bytes of songs not yet checked.
async fn check(browser: &Browser, shared: &Shared, checked: &mut BTreeSet<String>, round: u32) {
    let (songs, split, deleted, users) = {
        let Acknowledged { songs, split, deleted, users } = &*shared.lock().unwrap();
        (songs.clone(), split.clone(), deleted.clone(), users.clone())
    };
    let listed = all(browser).await;
    for (id, number) in &songs {
        let song_now = listed.get(id).unwrap_or_else(|| panic!("round {round}: {id} is lost"));
        if split.contains(id) {
            assert_eq!(song_now["status"], "SPLIT", "round {round}: {song_now}");
        }
        if checked.insert(id.clone()) {
            let download = browser.get(&format!("/songs/{id}/song.mp3")).await;
            assert!(download.bytes == song(*number)[..], "round {round}: the bytes of {id} are lost: {download:?}");
            if split.contains(id) {
                let download = browser.get(&format!("/songs/{id}/vocals.mp3")).await;
                assert!(download.bytes == stems().vocals, "round {round}: the stems of {id} are lost");
            }
        }
    }
    for id in &deleted {
        assert!(!listed.contains_key(id), "round {round}: deleted song {id} is back");
    }
    for (number, (name, password)) in (0..).zip(users) {
        if checked.insert(name.clone()) {
            let login = browser.new_client().login_request(&name, &password);
            let answer = Browser::send(from_address(number, login)).await;
            assert_eq!(answer.status, 200, "round {round}: {name} is lost: {answer:?}");
        }
    }
}
