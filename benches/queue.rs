//! Benchmarks the throughput of queue and server: a separator that takes no time, songs of 5 MB, and 1, 2, 4 and 8
//! concurrent workers. First the service in one process (SQLite, files, workers in its process), then the cluster (PostgreSQL,
//! RabbitMQ, workers over HTTP), both on this machine with private instances.
//!
//! `cargo bench -p vocalizer --no-default-features --features cluster --bench queue`

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vocalizer::service::{Blobs, Broker, Config, DataDir, Database, Parts, Policy, QueueKind, WebhookPolicy, compose};
use vocalizer_client::worker::{RemoteBackend, RemoteSettings};
use vocalizer_core::account::Viewer;
use vocalizer_core::limits::Limits;
use vocalizer_core::models::Models;
use vocalizer_core::ports::{AudioError, Backend, Blob, BoxError, Progress, Separator, StemSet, Stems};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{RenderingSettings, ResumableSettings, SongService};
use vocalizer_core::song::StatusKind;
use vocalizer_core::worker::Worker;
use vocalizer_http::settings::{AllowedHosts, Caps};
use vocalizer_model::audio::{AudioFormat, Bitrate, StemWriter};

const TOKEN: &str = "the-token-of-the-benchmark-s-worker";

/// Songs per round.
const SONGS: u32 = 60;

/// Frames of a song: 5 MB of 16-bit stereo.
const SONG_FRAMES: u32 = 5_000_000 / 4;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // `cargo test` also runs benchmarks, with `--test`.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let stem = stem(dir.path())?;
    let stem_bytes = stem.len();
    let stems = Stems { drums: stem.clone(), bass: stem.clone(), other: stem.clone(), vocals: stem };
    println!("{SONGS} songs of {} bytes, four stems of {stem_bytes} bytes each", SONG_FRAMES * 4 + 44);
    println!("| service | uploads/s | 1 worker | 2 | 4 | 8 | songs/s");
    let mut number = 0;
    let one = config(&dir.path().join("one"), None)?;
    measure("one machine", &one, &stems, &mut number).await?;

    let at = |name: &str| dir.path().join(name).display().to_string();
    let database = start("postgres", &at("postgres"), "VOCALIZER_TEST_POSTGRES")?;
    let broker = start("rabbitmq", &at("rabbitmq"), "VOCALIZER_TEST_AMQP")?;
    let many = config(&dir.path().join("many"), Some((database, broker)))?;
    let measured = measure("cluster", &many, &stems, &mut number).await;
    for script in ["postgres", "rabbitmq"] {
        run(script, &["stop", &at(script)])?;
    }
    measured
}

/// Creates half a minute of MP3 at 320 kbit/s.
fn stem(dir: &Path) -> Result<Bytes, BoxError> {
    let path = dir.join("stem.mp3");
    let mut writer = StemWriter::create(&path, AudioFormat::Mp3(Bitrate::Cbr(320)), 44_100)?;
    #[expect(clippy::cast_possible_truncation, reason = "samples")]
    let frames: Vec<_> = (0..SONG_FRAMES).map(|n| [(f64::from(n) * 0.05).sin() as f32 * 0.2; 2]).collect();
    writer.write(&frames)?;
    writer.finish()?;
    Ok(std::fs::read(path)?.into())
}

fn run(script: &str, arguments: &[&str]) -> Result<String, BoxError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci").join(script);
    let output = Command::new(path).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{script}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts a private instance and returns its address.
fn start(script: &str, dir: &str, variable: &str) -> Result<String, BoxError> {
    let said = run(script, &["start", dir])?;
    let address = said.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
    Ok(address.ok_or("the script printed no address")?.trim_matches('\'').to_owned())
}

fn config(data: &Path, places: Option<(String, String)>) -> Result<Config, BoxError> {
    let (database, broker) = match places {
        None => (Database::Sqlite(data.join("vocalizer.db")), None),
        Some((database, broker)) => (
            Database::Postgres(Secret::new(database)),
            Some(Broker {
                address: Secret::new(broker),
                queue: QueueKind::Quorum,
                max_message_bytes: 16 * 1024 * 1024,
                consumer_timeout: Duration::from_secs(30 * 60),
            }),
        ),
    };
    Ok(Config {
        listen: "127.0.0.1:0".parse()?,
        data: data.to_owned(),
        database,
        blobs: Blobs::Files(data.join("blobs")),
        adopt_blobs: false,
        broker,
        worker_tokens: Some(vec![Secret::new(TOKEN.to_owned())]),
        open_upload_result: false,
        limits: Limits::default(),
        min_free_bytes: None,
        policy: Policy::default(),
        sign_in: vocalizer::service::SignIn::default(),
        webhooks: WebhookPolicy::default(),
        sweep_interval: Duration::from_secs(600),
        ask_again_after: Duration::from_secs(6 * 60 * 60),
        models: Models::default(),
        model_timeout: Duration::from_secs(24 * 60 * 60),
        traces: vocalizer_core::trace::Sampling::default(),
        trusted_proxies: Vec::new(),
        allowed_hosts: AllowedHosts::Any,
        secure_cookies: false,
        caps: Caps::default(),
        renderings: RenderingSettings::default(),
        resumable: ResumableSettings::default(),
        shutdown_grace: Duration::from_secs(1),
    })
}

async fn measure(name: &str, config: &Config, stems: &Stems, number: &mut u32) -> Result<(), BoxError> {
    let data = DataDir::open(config)?;
    let Parts { songs, queue, clock, server, .. } = compose(config, &data).await?;
    let listener = TcpListener::bind(config.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut service = JoinSet::new();
    service.spawn(async move { server.run(listener, std::future::pending()).await.expect("background work") });
    let relaying = songs.clone();
    service.spawn(async move {
        loop {
            let outbox_changed = relaying.outbox_changed();
            let _ = relaying.relay().await;
            let _ = tokio::time::timeout(Duration::from_secs(1), outbox_changed).await;
        }
    });
    let backend: Arc<dyn Backend> = match &config.broker {
        None => Arc::new(songs.clone()),
        Some(_) => {
            let settings = RemoteSettings::new(url, TOKEN);
            let archive = Arc::new(vocalizer_store::archive::TarResults::new(Limits::default()));
            Arc::new(RemoteBackend::new(&settings, archive)?)
        }
    };
    let (mut uploads, mut rates) = (0.0, Vec::new());
    let worker = Worker::builder_with_clock(queue, backend, Arc::new(Instantly(stems.clone())), clock);
    for workers in [1, 2, 4, 8] {
        let began = Instant::now();
        for _ in 0..SONGS {
            *number += 1;
            upload(&songs, *number).await?;
        }
        uploads += f64::from(SONGS) / began.elapsed().as_secs_f64() / 4.0;
        let before = split(&songs).await?;
        let (stop, stopped) = watch::channel(false);
        let began = Instant::now();
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (worker, mut stopped) = (worker.clone().build(), stopped.clone());
            running.spawn(async move {
                let stop = async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                };
                worker.run(stop).await;
            });
        }
        while split(&songs).await? < before + u64::from(SONGS) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rates.push(f64::from(SONGS) / began.elapsed().as_secs_f64());
        stop.send_replace(true);
        while running.join_next().await.is_some() {}
    }
    let rates: Vec<_> = rates.iter().map(|rate| format!("{rate:.1}")).collect();
    println!("| {name} | {uploads:.1} | {} |", rates.join(" | "));
    Ok(())
}

async fn split(songs: &SongService) -> Result<u64, BoxError> {
    let counts = songs.repository().count().await?;
    Ok(StatusKind::ALL.iter().zip(counts).find(|(kind, _)| **kind == StatusKind::Split).map_or(0, |(_, count)| count))
}

async fn upload(songs: &SongService, number: u32) -> Result<(), BoxError> {
    let mut upload = songs.begin_upload(Viewer::Anonymous).await?;
    let data_bytes = SONG_FRAMES * 4;
    let mut wav = Vec::with_capacity(44);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    wav.extend_from_slice(&44_100_u32.to_le_bytes());
    wav.extend_from_slice(&176_400_u32.to_le_bytes());
    wav.extend_from_slice(b"\x04\0\x10\0data");
    wav.extend_from_slice(&data_bytes.to_le_bytes());
    upload.write(wav.into()).await?;
    // Each song has different samples.
    let block: Bytes = number.to_le_bytes().repeat(16 * 1024).into();
    let mut left = data_bytes as usize;
    while left > 0 {
        let bytes = left.min(block.len());
        upload.write(block.slice(..bytes)).await?;
        left -= bytes;
    }
    upload.finish(&format!("Song {number}")).await?;
    Ok(())
}

/// A fake separator that reads the song and returns fixed stems.
struct Instantly(Stems);

#[async_trait]
impl Separator for Instantly {
    async fn separate(&self, mut song: Blob, _progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        while song.next_chunk().await.map_err(|error| AudioError::Failed(error.into()))?.is_some() {}
        Ok(Box::new(self.0.clone()))
    }
}
