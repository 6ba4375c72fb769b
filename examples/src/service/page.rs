//! The web page, embedded into the programs.

use std::str;
use std::sync::LazyLock;

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

/// Every file of `examples/web`. Scripts and styles are served without comments, which are a fifth of what a visit loads.
pub(super) static FILES: LazyLock<Vec<PageFile>> = LazyLock::new(|| SOURCES.iter().map(served).collect());

fn served(file: &PageFile) -> PageFile {
    match str::from_utf8(file.bytes) {
        Ok(text) if ["text/javascript", "text/css"].iter().any(|kind| file.media_type.starts_with(kind)) => {
            PageFile { bytes: without_comments(text).leak().as_bytes(), ..*file }
        }
        _ => *file,
    }
}

/// Empties the lines that are comments. The other lines keep their numbers, so that a browser's errors name the line in
/// the source. A comment beside code stays.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.lines() {
        let words = line.trim();
        let begins = !inside && words.starts_with("/*") && words.find("*/").is_none_or(|end| end + 2 == words.len());
        if !(inside || begins || words.starts_with("//")) {
            code.push_str(line);
        }
        code.push('\n');
        inside = (inside || begins) && !words.contains("*/");
    }
    code
}

const SOURCES: &[PageFile] = files! {
    "text/html; charset=utf-8" "/" "index.html";
    "style.css" "text/css; charset=utf-8";
    "icon.svg" "image/svg+xml";
    "icon-full.svg" "image/svg+xml";
    "icon-touch.png" "image/png";
    "manifest.webmanifest" "application/manifest+json";
    "start.js" "text/javascript; charset=utf-8";
    "app.js" "text/javascript; charset=utf-8";
    "account.js" "text/javascript; charset=utf-8";
    "admin.js" "text/javascript; charset=utf-8";
    "analysis.js" "text/javascript; charset=utf-8";
    "api.js" "text/javascript; charset=utf-8";
    "bulk.js" "text/javascript; charset=utf-8";
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
    "labels.js" "text/javascript; charset=utf-8";
    "limits.js" "text/javascript; charset=utf-8";
    "list.js" "text/javascript; charset=utf-8";
    "lyrics.js" "text/javascript; charset=utf-8";
    "markers.js" "text/javascript; charset=utf-8";
    "meter.js" "text/javascript; charset=utf-8";
    "mini.js" "text/javascript; charset=utf-8";
    "models.js" "text/javascript; charset=utf-8";
    "mpeg.js" "text/javascript; charset=utf-8";
    "outside.js" "text/javascript; charset=utf-8";
    "places.js" "text/javascript; charset=utf-8";
    "player.js" "text/javascript; charset=utf-8";
    "practice.js" "text/javascript; charset=utf-8";
    "provider.js" "text/javascript; charset=utf-8";
    "resumable.js" "text/javascript; charset=utf-8";
    "resample.js" "text/javascript; charset=utf-8";
    "results.js" "text/javascript; charset=utf-8";
    "saving.js" "text/javascript; charset=utf-8";
    "schedule.js" "text/javascript; charset=utf-8";
    "segments.js" "text/javascript; charset=utf-8";
    "session.js" "text/javascript; charset=utf-8";
    "share.js" "text/javascript; charset=utf-8";
    "shared.js" "text/javascript; charset=utf-8";
    "slider.js" "text/javascript; charset=utf-8";
    "song.js" "text/javascript; charset=utf-8";
    "songs.js" "text/javascript; charset=utf-8";
    "source.js" "text/javascript; charset=utf-8";
    "span.js" "text/javascript; charset=utf-8";
    "stems.js" "text/javascript; charset=utf-8";
    "stream.js" "text/javascript; charset=utf-8";
    "stretch.js" "text/javascript; charset=utf-8";
    "text.js" "text/javascript; charset=utf-8";
    "timeline.js" "text/javascript; charset=utf-8";
    "tonality.js" "text/javascript; charset=utf-8";
    "tracks.js" "text/javascript; charset=utf-8";
    "transport.js" "text/javascript; charset=utf-8";
    "trash.js" "text/javascript; charset=utf-8";
    "uploads.js" "text/javascript; charset=utf-8";
    "waveforms.js" "text/javascript; charset=utf-8";
    "zoom.js" "text/javascript; charset=utf-8";
    "account-en.json" "application/json";
    "account-ru.json" "application/json";
    "admin-en.json" "application/json";
    "admin-ru.json" "application/json";
    "en.json" "application/json";
    "ru.json" "application/json";
};

#[cfg(test)]
mod tests {
    use std::{fs, str};

    use super::{FILES, SOURCES, without_comments};

    #[test]
    fn comments_go_and_code_keeps_its_lines() {
        let text = "// a\nlet a = 'x'; // stays\n  /** b */\n/** @type {T} */ (a).b();\n/*\n * c\n */\nlet d = `//`;\n";
        assert_eq!(
            without_comments(text),
            "\nlet a = 'x'; // stays\n\n/** @type {T} */ (a).b();\n\n\n\nlet d = `//`;\n"
        );
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web")).unwrap();
        let mut names: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        let mut served: Vec<_> =
            FILES.iter().map(|file| file.path.strip_prefix("/web/").unwrap_or("index.html")).collect();
        served.sort_unstable();
        assert_eq!(served, names);
    }

    #[test]
    fn no_code_of_the_page_is_taken_for_a_comment() {
        for (source, served) in SOURCES.iter().zip(FILES.iter()) {
            assert_eq!((source.path, source.media_type), (served.path, served.media_type));
            let Ok(source_text) = str::from_utf8(source.bytes) else { continue };
            let served_text = str::from_utf8(served.bytes).unwrap();
            assert_eq!(source_text.lines().count(), served_text.lines().count(), "{}", source.path);
            for (line, kept) in source_text.lines().zip(served_text.lines()) {
                let words = line.trim();
                let looks_like_comment = ["//", "/*", "*"].iter().any(|start| words.starts_with(start));
                assert!(kept == line || kept.is_empty() && looks_like_comment, "{}: {line}", source.path);
                assert!(
                    kept == line || words.find("*/").is_none_or(|end| end + 2 == words.len()),
                    "{}: {line}",
                    source.path
                );
            }
        }
    }
}
