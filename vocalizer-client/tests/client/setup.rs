use std::time::Duration;

use vocalizer_client::{Client, Error, Format, Gains, Part, Secret, SongFile, SongId, SongQuery, Upload};

#[test]
fn invalid_addresses_are_rejected_without_leaking() {
    for address in [
        "",
        "localhost:8000",
        "ftp://host/",
        "file:///etc/passwd",
        "http://",
        "http://ada:hunter2@host/",
        "http://hunter2@host/",
        "http://host/?token=hunter2",
        "http://host/#x",
    ] {
        let builder = Client::builder(address);
        assert!(!format!("{builder:?}").contains("hunter2"));
        let error = builder.build().unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{address}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[test]
fn addresses_work_with_and_without_trailing_slash() {
    for address in ["http://127.0.0.1:8000", "http://[::1]:8000/", "http://host/below/this"] {
        assert!(Client::builder(address).build().is_ok(), "{address}");
    }
}

/// TLS needs its provider when the client is built, not at the first call.
#[test]
fn tls_works_without_process_wide_provider() {
    match Client::builder("https://vocalizer.example").build() {
        Ok(client) => assert!(format!("{client:?}").contains("https://vocalizer.example/")),
        // Fails on a machine without root certificates.
        Err(error) => assert!(matches!(error, Error::Setup(_)), "{error:?}"),
    }
}

/// Compiles only if every call can be spawned on another thread.
#[test]
fn every_call_can_be_spawned() {
    fn spawnable<T: Send + 'static>(_: &impl Fn(Client) -> T) {}

    let id = SongId::random();
    let secret = || Secret::from("correct horse");
    spawnable(&|c: Client| async move { c.upload(Upload::from_path("x", "x.mp3")).await });
    spawnable(&|c: Client| async move { c.wait(id).await });
    spawnable(&|c: Client| async move { c.wait_with(id, |song| println!("{song:?}")).await });
    spawnable(&|c: Client| c.watch(id));
    spawnable(&|c: Client| c.watch_all());
    spawnable(&|c: Client| async move { c.songs_page(&SongQuery::default()).await });
    spawnable(&|c: Client| async move { c.song(id).await });
    spawnable(&|c: Client| async move { c.peaks(id, Part::Song).await });
    spawnable(&|c: Client| async move { c.download(id, Part::Song).await?.into_bytes(10).await });
    spawnable(&|c: Client| async move { c.download_to(id, SongFile::mix(Gains::new(), Format::Mp3), "x").await });
    spawnable(&|c: Client| async move { c.download_stems(id, Format::Mp3, "x").with_concurrency(2).await });
    spawnable(&|c: Client| async move { c.download_range(id, Part::Song, 0..1).await });
    spawnable(&|c: Client| async move { c.login("ada", &secret()).await });
    spawnable(&|c: Client| async move { tokio::time::timeout(Duration::ZERO, c.delete(id)).await });
}
