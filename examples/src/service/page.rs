//! The web page, as the programs bring it along.

use vocalizer_http::page::PageFile;

macro_rules! files {
    ($($path:literal $file:literal $media_type:literal;)*) => {
        &[$(PageFile {
            path: $path,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../../web/", $file)),
        }),*]
    };
}

/// Every file of `examples/web`.
pub(super) const FILES: &[PageFile] = files! {
    "/" "index.html" "text/html; charset=utf-8";
    "/web/style.css" "style.css" "text/css; charset=utf-8";
    "/web/icon.svg" "icon.svg" "image/svg+xml";
    "/web/theme.js" "theme.js" "text/javascript; charset=utf-8";
    "/web/app.js" "app.js" "text/javascript; charset=utf-8";
    "/web/account.js" "account.js" "text/javascript; charset=utf-8";
    "/web/api.js" "api.js" "text/javascript; charset=utf-8";
    "/web/dom.js" "dom.js" "text/javascript; charset=utf-8";
    "/web/engine.js" "engine.js" "text/javascript; charset=utf-8";
    "/web/list.js" "list.js" "text/javascript; charset=utf-8";
    "/web/player.js" "player.js" "text/javascript; charset=utf-8";
    "/web/song.js" "song.js" "text/javascript; charset=utf-8";
    "/web/songs.js" "songs.js" "text/javascript; charset=utf-8";
    "/web/source.js" "source.js" "text/javascript; charset=utf-8";
    "/web/text.js" "text.js" "text/javascript; charset=utf-8";
    "/web/uploads.js" "uploads.js" "text/javascript; charset=utf-8";
    "/web/en.json" "en.json" "application/json";
    "/web/ru.json" "ru.json" "application/json";
};
