//! The web page, embedded into the programs.

use vocalizer_http::page::PageFile;

macro_rules! files {
    ($media_type:literal $path:literal $index:literal; $($file:literal $kind:literal;)*) => {
        &[
            PageFile { path: $path, media_type: $media_type, bytes: include_bytes!(concat!("../../web/", $index)) },
            $(PageFile {
                path: concat!("/web/", $file),
                media_type: $kind,
                bytes: include_bytes!(concat!("../../web/", $file)),
            }),*
        ]
    };
}

/// Every file of `examples/web`.
pub(super) const FILES: &[PageFile] = files! {
    "text/html; charset=utf-8" "/" "index.html";
    "style.css" "text/css; charset=utf-8";
    "icon.svg" "image/svg+xml";
    "icon-full.svg" "image/svg+xml";
    "manifest.webmanifest" "application/manifest+json";
    "start.js" "text/javascript; charset=utf-8";
    "app.js" "text/javascript; charset=utf-8";
    "account.js" "text/javascript; charset=utf-8";
    "api.js" "text/javascript; charset=utf-8";
    "click.js" "text/javascript; charset=utf-8";
    "callbacks.js" "text/javascript; charset=utf-8";
    "dom.js" "text/javascript; charset=utf-8";
    "downloads.js" "text/javascript; charset=utf-8";
    "drag.js" "text/javascript; charset=utf-8";
    "dropped.js" "text/javascript; charset=utf-8";
    "engine.js" "text/javascript; charset=utf-8";
    "headroom.js" "text/javascript; charset=utf-8";
    "karaoke.js" "text/javascript; charset=utf-8";
    "keys.js" "text/javascript; charset=utf-8";
    "library.js" "text/javascript; charset=utf-8";
    "limits.js" "text/javascript; charset=utf-8";
    "list.js" "text/javascript; charset=utf-8";
    "lyrics.js" "text/javascript; charset=utf-8";
    "meter.js" "text/javascript; charset=utf-8";
    "mini.js" "text/javascript; charset=utf-8";
    "models.js" "text/javascript; charset=utf-8";
    "mpeg.js" "text/javascript; charset=utf-8";
    "outside.js" "text/javascript; charset=utf-8";
    "places.js" "text/javascript; charset=utf-8";
    "player.js" "text/javascript; charset=utf-8";
    "practice.js" "text/javascript; charset=utf-8";
    "resumable.js" "text/javascript; charset=utf-8";
    "results.js" "text/javascript; charset=utf-8";
    "schedule.js" "text/javascript; charset=utf-8";
    "segments.js" "text/javascript; charset=utf-8";
    "share.js" "text/javascript; charset=utf-8";
    "shared.js" "text/javascript; charset=utf-8";
    "slider.js" "text/javascript; charset=utf-8";
    "song.js" "text/javascript; charset=utf-8";
    "songs.js" "text/javascript; charset=utf-8";
    "source.js" "text/javascript; charset=utf-8";
    "stems.js" "text/javascript; charset=utf-8";
    "stream.js" "text/javascript; charset=utf-8";
    "stretch.js" "text/javascript; charset=utf-8";
    "text.js" "text/javascript; charset=utf-8";
    "timeline.js" "text/javascript; charset=utf-8";
    "tracks.js" "text/javascript; charset=utf-8";
    "transport.js" "text/javascript; charset=utf-8";
    "trash.js" "text/javascript; charset=utf-8";
    "uploads.js" "text/javascript; charset=utf-8";
    "waveforms.js" "text/javascript; charset=utf-8";
    "en.json" "application/json";
    "ru.json" "application/json";
};
