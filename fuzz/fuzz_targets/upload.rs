//! Upload forms: rejected, or a song with the form's bytes; never a 500.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::Listing;
use vocalizer_core::song::SongHasher;
use vocalizer_fuzz::service::{Service, has_internal_error};

fuzz_target!(|form: &[u8]| {
    let service = Service::default();
    let mut request = format!(
        "POST /songs/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=x\r\n\
         Content-Length: {}\r\n\r\n",
        form.len()
    )
    .into_bytes();
    request.extend_from_slice(form);
    let answer = service.exchange(&request, false);
    assert!(answer.starts_with(b"HTTP/1.1 ") && !has_internal_error(&answer), "{}", String::from_utf8_lossy(&answer));
    let accepted = answer.starts_with(b"HTTP/1.1 200");
    let page = service.wait(service.songs.list(Viewer::Anonymous, Listing::default())).expect("a list");
    assert_eq!(page.songs.len(), usize::from(accepted));
    for song in page.songs {
        let hash = service.wait(async {
            let viewer = Viewer::Anonymous.into();
            let file = service.songs.part(viewer, song.id, Part::Song, Format::Mp3).await.expect("the song");
            let mut blob = service.songs.open(&file, None).await.expect("its bytes");
            let mut hasher = SongHasher::new();
            while let Some(chunk) = blob.next_chunk().await.expect("whole") {
                assert!(form.windows(chunk.len()).any(|window| window == chunk));
                hasher.update(&chunk);
            }
            hasher.finish()
        });
        assert_eq!(hash.to_string(), song.hash);
    }
});
