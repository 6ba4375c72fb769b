//! Parsers of `Range` and `Cookie`: a range within the file or none, a well-formed session or none.

#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use vocalizer_http::cookie;
use vocalizer_http::range::Selection;

fuzz_target!(|input: (u64, &[u8])| {
    let (size_bytes, value) = input;
    match Selection::parse(value, size_bytes) {
        Selection::Part(range) => assert!(range.start < range.end && range.end <= size_bytes),
        Selection::Whole | Selection::Unsatisfiable => {}
    }
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(header::RANGE, value.clone());
    let selection = Selection::of(&headers, size_bytes);
    assert_eq!(selection.content_range(size_bytes).is_none(), selection == Selection::Whole);
    headers.insert(header::COOKIE, value);
    for secure in [false, true] {
        if let Some(session) = cookie::session(&headers, secure) {
            let session = session.expose();
            assert!((1..=256).contains(&session.len()) && session.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }
});
