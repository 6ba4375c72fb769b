use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use vocalizer_http::range::Selection::{self, Part, Unsatisfiable, Whole};

#[test]
fn single_ranges_are_served() {
    for (value, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-99", 0..100),
        ("bytes=10-19", 10..20),
        ("bytes=10-", 10..100),
        ("bytes=99-", 99..100),
        ("bytes=-1", 99..100),
        ("bytes=-100", 0..100),
        ("bytes=-1000", 0..100),
        ("bytes=50-1000", 50..100),
        ("bytes=0-18446744073709551615", 0..100),
        ("bytes=0-99999999999999999999999999", 0..100),
        ("bytes=-99999999999999999999999999", 0..100),
        ("BYTES=1-2", 1..3),
        ("bytes= 1-2 ", 1..3),
        ("bytes=,1-2,,", 1..3),
        ("bytes=0000000000000000000000001-2", 1..3),
    ] {
        assert_eq!(Selection::parse(value.as_bytes(), 100), Part(expected), "{value}");
    }
}

#[test]
fn range_past_end_is_unsatisfiable() {
    for value in
        ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=18446744073709551616-", "bytes=99999999999999999999-"]
    {
        assert_eq!(Selection::parse(value.as_bytes(), 100), Unsatisfiable, "{value}");
    }
}

#[test]
fn malformed_ranges_are_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1-+2",
        "bytes=--1",
        "bytes=0x1-2",
        "bytes=1 - 2",
        "bytes =1-2",
        "bytes:1-2",
        "items=0-1",
        "=0-1",
        "bytes=1.0-2",
    ] {
        assert_eq!(Selection::parse(value.as_bytes(), 100), Whole, "{value}");
    }
    assert_eq!(Selection::parse(b"bytes=\xff-1", 100), Whole);
    assert_eq!(Selection::parse("bytes=١-٢".as_bytes(), 100), Whole, "non-ASCII digits");
}

#[test]
fn multiple_ranges_return_whole_file() {
    assert_eq!(Selection::parse(b"bytes=0-1,5-6", 100), Whole);
    let thousand = format!("bytes={}", ["0-1"; 1000].join(","));
    assert_eq!(Selection::parse(thousand.as_bytes(), 100), Whole);
    let mut headers = HeaderMap::new();
    headers.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(Selection::of(&headers, 100), Part(0..2));
    headers.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(Selection::of(&headers, 100), Whole);
}

#[test]
fn missing_header_returns_whole_file() {
    assert_eq!(Selection::of(&HeaderMap::new(), 100), Whole);
}

#[test]
fn empty_file_has_no_ranges() {
    assert_eq!(Selection::parse(b"bytes=0-", 0), Unsatisfiable);
    assert_eq!(Selection::parse(b"bytes=0-0", 0), Unsatisfiable);
    assert_eq!(Selection::parse(b"bytes=-5", 0), Whole);
}

#[test]
fn status_and_content_range_follow_the_selection() {
    assert_eq!((Whole.status().as_u16(), Whole.content_range(100)), (200, None));
    let part = Part(10..20);
    assert_eq!(
        (part.status().as_u16(), part.content_range(100).unwrap()),
        (206, HeaderValue::from_static("bytes 10-19/100"))
    );
    let none = Unsatisfiable;
    assert_eq!(
        (none.status().as_u16(), none.content_range(100).unwrap()),
        (416, HeaderValue::from_static("bytes */100"))
    );
}

proptest! {
    #[test]
    fn range_is_never_empty_or_past_end(value in "bytes=[0-9]{0,20}-[0-9]{0,20}", size_bytes: u64) {
        if let Part(range) = Selection::parse(value.as_bytes(), size_bytes) {
            prop_assert!(range.start < range.end && range.end <= size_bytes);
        }
    }

    #[test]
    fn valid_range_is_returned_exactly(size_bytes in 1..=u64::MAX, a: u64, b: u64) {
        let (a, b) = (a % size_bytes, b % size_bytes);
        let (first, last) = (a.min(b), a.max(b));
        prop_assert_eq!(Selection::parse(format!("bytes={first}-{last}").as_bytes(), size_bytes), Part(first..last + 1));
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(value in prop::collection::vec(any::<u8>(), 0..40), size_bytes: u64) {
        let selection = Selection::parse(&value, size_bytes);
        prop_assert_eq!(selection.content_range(size_bytes).is_none(), selection == Whole);
    }
}
