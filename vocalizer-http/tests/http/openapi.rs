use std::path::Path;

use serde_json::Value;
use vocalizer_http::openapi;

/// What the code says must be what is committed: whoever generates a client from the file gets this server.
/// `VOCALIZER_BLESS=1` writes it anew.
#[test]
fn the_document_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let said = serde_json::to_string_pretty(&openapi::document()).unwrap() + "\n";
    if std::env::var_os("VOCALIZER_BLESS").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == said, "openapi.json is not what the code says; look at the difference, then VOCALIZER_BLESS=1");
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = openapi::document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_kept_endpoints_are_there() {
    let document = openapi::document();
    for (path, method) in [
        ("/auth/register", "post"),
        ("/auth/login", "post"),
        ("/auth/logout", "post"),
        ("/songs/", "get"),
        ("/songs/upload", "post"),
        ("/songs/{song_id}", "get"),
        ("/songs/{song_id}", "delete"),
        ("/songs/{song_id}/{file}", "get"),
        ("/songs/{hash}/upload_result", "post"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
}
