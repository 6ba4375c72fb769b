//! Resumable uploads over bad lines, through killed servers, and by other clients.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vocalizer_client::{Client, SplitWith, Stem, Upload};

use super::resumable::{assert_bytes, create, large, offset, patch, patch_request, settings};
use super::server::Server;
use super::support::{Browser, Service, Settings, random};

const MIB: usize = 1024 * 1024;

/// Forwards connections to a server, and cuts some of them at random places.
struct CuttingProxy {
    base: String,
    cuts: Arc<AtomicU32>,
}

impl CuttingProxy {
    /// Cuts so many connections, each within so many bytes from the client.
    async fn start(server: std::net::SocketAddr, cuts: u32, within: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicU32::new(cuts));
        let counter = Arc::clone(&left);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let left = Arc::clone(&counter);
                tokio::spawn(async move {
                    let server = TcpStream::connect(server).await.unwrap();
                    let (mut client_reads, mut client_writes) = client.into_split();
                    let (mut server_reads, mut server_writes) = server.into_split();
                    let to_server = async {
                        let mut until_cut = random(within);
                        let mut block = vec![0; 16 * 1024];
                        while let Ok(len @ 1..) = client_reads.read(&mut block).await {
                            if until_cut < len as u64
                                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
                            {
                                let _ = server_writes.write_all(&block[..usize::try_from(until_cut).unwrap()]).await;
                                return;
                            }
                            until_cut = until_cut.saturating_sub(len as u64);
                            if server_writes.write_all(&block[..len]).await.is_err() {
                                return;
                            }
                        }
                    };
                    // The connection ends with either direction.
                    tokio::select! {
                        () = to_server => {}
                        _ = tokio::io::copy(&mut server_reads, &mut client_writes) => {}
                    }
                });
            }
        });
        Self { base, cuts: left }
    }
}

fn client(base: &str, retries: u32) -> Client {
    Client::builder(base).with_retries(retries, Duration::from_millis(5)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_resumes_after_each_cut() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.wav");
    for (number, round) in (10..).zip(0..4) {
        let whole = large(number);
        std::fs::write(&path, &whole).unwrap();
        let proxy = CuttingProxy::start(service.address, 12, 5_000_000).await;
        let highest = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&highest);
        let upload = match round % 3 {
            0 => Upload::from_path("over a bad line", &path),
            1 => Upload::from_bytes("over a bad line", "large.wav", whole.clone()),
            _ => {
                let (bytes, size_bytes) = (bytes::Bytes::from(whole.clone()), Some(whole.len() as u64));
                Upload::from_stream_factory("over a bad line", "large.wav", size_bytes, move || {
                    let blocks: Vec<_> = bytes.chunks(100_000).map(|block| Ok(bytes.slice_ref(block))).collect();
                    async { Ok(futures_util::stream::iter(blocks)) }
                })
            }
        };
        let expected_bytes = whole.len() as u64;
        let upload = upload.with_progress(move |sent_bytes, size_bytes| {
            assert_eq!(size_bytes, Some(expected_bytes));
            seen.fetch_max(sent_bytes, Ordering::SeqCst);
        });
        let id = upload.id();
        let song = client(&proxy.base, 20).upload(upload).await.unwrap();
        assert_eq!((song.id, song.title.as_str()), (id, "over a bad line"));
        assert_eq!(highest.load(Ordering::SeqCst), expected_bytes);
        assert!(proxy.cuts.load(Ordering::SeqCst) < 12, "the proxy has cut nothing");
        assert_bytes(&browser, &id.to_string(), &whole).await;
    }
    assert_eq!(browser.get("/songs/").await.data()["songs"].as_array().unwrap().len(), 4);
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_sends_small_songs_in_a_form() {
    let service = Service::with(settings()).await;
    let song = super::support::song(1);
    client(&service.url(""), 0).upload(Upload::from_bytes("small", "small.wav", song)).await.unwrap();
    let metrics = String::from_utf8(Browser::new(&service).get("/metrics").await.bytes.to_vec()).unwrap();
    assert!(metrics.contains("operation=\"upload\""), "{metrics}");
    assert!(!metrics.contains("operation=\"create_upload\""), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_uses_the_form_if_resumable_uploads_are_off() {
    let resumable = vocalizer_core::service::ResumableSettings { max_total: 0, ..Default::default() };
    let service = Service::with(super::support::Settings { resumable, ..settings() }).await;
    let whole = large(20);
    let upload = Upload::from_bytes("large", "large.wav", whole.clone());
    let song = client(&service.url(""), 0).upload(upload).await.unwrap();
    assert_bytes(&Browser::new(&service), &song.id.to_string(), &whole).await;
}

/// Starts a server that accepts large songs.
fn start(data: &Path) -> Server {
    Server::with(data, &["--max-upload-bytes", "2000000000"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_continues_after_the_server_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let whole = large(21);
    let server = start(&data);
    let mut browser = server.browser();
    let path = create(&browser, whole.len(), &[("title", "survivor")]).await;
    let mut server = Some(server);
    let mut at = 0;
    // Killed while the second and the third piece arrive, and before the last byte.
    for end in [9 * MIB, 18 * MIB, whole.len() - 1] {
        let request = patch_request(&browser, &path, at, whole[at..end].to_vec());
        if end == whole.len() - 1 {
            assert_eq!(Browser::send(request).await.status, 204);
        } else {
            // Its end does not arrive, so the request does not complete.
            let rest = futures_util::stream::pending::<std::io::Result<bytes::Bytes>>();
            let begun = futures_util::stream::iter([Ok(bytes::Bytes::copy_from_slice(&whole[at..end]))]);
            let body = reqwest::Body::wrap_stream(futures_util::StreamExt::chain(begun, rest));
            tokio::spawn(request.body(body).send());
            while offset(&browser, &path).await < end / (8 * MIB) * 8 * MIB {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        drop(server.take());
        let restarted = start(&data);
        browser = restarted.browser();
        server = Some(restarted);
        at = offset(&browser, &path).await;
        assert!(at >= end / (8 * MIB) * 8 * MIB && at <= end, "{at} of {end}: whole pieces survive");
    }
    let last = patch(&browser, &path, at, &whole[at..]).await;
    assert_eq!(last.status, 204, "{last:?}");
    assert_bytes(&browser, last.header("song-id"), &whole).await;
}

/// Returns the peak of a process's resident memory.
#[cfg(target_os = "linux")]
fn peak_bytes(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_upload() {
    const ZEROS: usize = 1_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir.path().join("data"));
    let browser = server.browser();
    let zeros = |len: usize| {
        let block = bytes::Bytes::from(vec![0; MIB]);
        let blocks =
            (0..len.div_ceil(MIB)).map(move |at| Ok::<_, std::io::Error>(block.slice(..MIB.min(len - at * MIB))));
        reqwest::Body::wrap_stream(futures_util::stream::iter(blocks))
    };
    let path = create(&browser, ZEROS, &[("title", "zeros")]).await;
    let first = patch_request(&browser, &path, 0, Vec::new()).body(zeros(16 * MIB));
    assert_eq!(Browser::send(first).await.status, 204);
    let before_bytes = peak_bytes(&server);
    let rest = patch_request(&browser, &path, 16 * MIB, Vec::new()).body(zeros(ZEROS - 16 * MIB));
    Browser::send(rest).await.refused_field(422, "invalid", "file");
    let grown_bytes = peak_bytes(&server) - before_bytes;
    assert!(grown_bytes < 40 * MIB, "{grown_bytes} bytes more");
}

/// Uploads a file with `tuspy`, twice with an interruption in between, and prints the headers of the last response.
const TUSPY: &str = r#"
import sys
from tusclient import client
base, file = sys.argv[1:]
metadata = {"title": "Lied 🎵", "filename": "lied.wav", "filetype": "audio/wav"}
uploader = client.TusClient(base + "/songs/uploads").uploader(file, chunk_size=1_500_000, metadata=metadata)
uploader.upload(stop_at=4_000_000)
resumed = client.TusClient(base + "/songs/uploads").uploader(file, chunk_size=3_000_000, url=uploader.url)
assert resumed.offset >= 4_000_000, resumed.offset
resumed.upload()
print(resumed.request.response_headers["song-id"])
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuspy_uploads_a_song() {
    let service = Service::with(settings()).await;
    let (dir, whole) = (tempfile::tempdir().unwrap(), large(22));
    let file = dir.path().join("lied.wav");
    std::fs::write(&file, &whole).unwrap();
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/venv");
    let python = Command::new(venv).args(["tus", "tuspy==1.1.0"]).output().unwrap();
    assert!(python.status.success(), "{python:?}");
    let python = Path::new(String::from_utf8(python.stdout).unwrap().trim()).join("python");
    let base = service.url("");
    let mut command = Command::new(python);
    command.args(["-c", TUSPY, &base]).arg(&file);
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let song = String::from_utf8(ran.stdout).unwrap().trim().to_owned();
    let browser = Browser::new(&service);
    assert_eq!(browser.get(&format!("/songs/{song}")).await.data()["song"]["title"], "Lied 🎵");
    assert_bytes(&browser, &song, &whole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_chooses_model_and_stems_of_a_resumable_upload() {
    let models = "htdemucs,htdemucs_6s".parse().unwrap();
    let service = Service::with(Settings { models, ..settings() }).await;
    let client = client(&format!("http://{}", service.address), 0);
    let whole = large(1);
    let with = SplitWith::model("htdemucs_6s").with_stems([Stem::PIANO]);
    let uploaded = client.upload(Upload::from_bytes("x", "x.wav", whole).split_with(with)).await.unwrap();
    let song = client.song_in_detail(uploaded.id).await.unwrap();
    assert_eq!(song.model.as_deref(), Some("htdemucs_6s"));
    let chosen: [(String,); 1] = [("piano".to_owned(),)];
    let stored = service.songs.repository().find(uploaded.id).await.unwrap().unwrap();
    let stems = stored.target().stems.clone().unwrap();
    assert_eq!(stems.iter().map(|stem| (stem.to_string(),)).collect::<Vec<_>>(), chosen);
}
