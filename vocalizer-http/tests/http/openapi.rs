use std::path::Path;

use serde_json::Value;
use vocalizer_http::openapi;

/// The committed document must match the code, because clients are generated from it. `VOCALIZER_BLESS=1` updates it.
#[test]
fn committed_document_matches_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = serde_json::to_string_pretty(&openapi::document()).unwrap() + "\n";
    if std::env::var_os("VOCALIZER_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "openapi.json differs from the code; to update it, run the test with VOCALIZER_BLESS=1 and review the diff"
    );
}

#[test]
fn all_references_resolve() {
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
fn contract_endpoints_exist() {
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
