//! Tests of `Blob`.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;
use vocalizer_core::ports::{Blob, BlobError};

/// Returns the next chunk of a blob that never waits.
fn next(blob: &mut Blob) -> Result<Option<Bytes>, BlobError> {
    blob.next_chunk().now_or_never().expect("the chunk is ready")
}

fn of(size_bytes: u64, chunks: &[&'static str]) -> Blob {
    let chunks: Vec<_> = chunks.iter().map(|&chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
    Blob::new(size_bytes, "tag", stream::iter(chunks))
}

#[test]
fn blob_yields_its_bytes_and_ends() {
    let mut blob = of(5, &["", "abc", "", "de", ""]);
    assert_eq!((blob.size_bytes(), blob.tag()), (5, "tag"));
    assert_eq!(next(&mut blob).unwrap().unwrap(), "abc");
    assert_eq!(next(&mut blob).unwrap().unwrap(), "de");
    for _ in 0..2 {
        assert_eq!(next(&mut blob).unwrap(), None);
    }
    assert_eq!(blob.size_bytes(), 5, "the total size stays");
    assert_eq!(next(&mut Blob::from(Bytes::new())).unwrap(), None);
}

#[test]
fn wrong_stream_length_is_a_lasting_error() {
    for size_bytes in [4, 6] {
        let mut blob = of(size_bytes, &["abc", "de"]);
        assert_eq!(next(&mut blob).unwrap().unwrap(), "abc");
        let _ = next(&mut blob);
        for _ in 0..2 {
            assert!(matches!(next(&mut blob), Err(BlobError::Unavailable(_))), "{size_bytes}");
        }
    }
}

#[test]
fn error_is_not_followed_by_end() {
    let mut blob = Blob::new(0, "", stream::iter([Err(BlobError::Damaged)]));
    assert!(matches!(next(&mut blob), Err(BlobError::Damaged)));
    assert!(next(&mut blob).is_err());
}

#[test]
fn ranges_are_read_in_order_and_may_be_short() {
    const SIZE: u64 = 300_000;
    let mut blob = Blob::in_pieces(SIZE, "", |range| async move {
        assert!(range.start < range.end && range.end <= SIZE);
        let len = usize::try_from((range.end - range.start).min(100_000)).unwrap();
        Ok(vec![u8::try_from(range.start % 251).unwrap(); len].into())
    });
    for start in [0, 100_000, 200_000] {
        assert_eq!(next(&mut blob).unwrap().unwrap(), vec![u8::try_from(start % 251).unwrap(); 100_000]);
    }
    assert_eq!(next(&mut blob).unwrap(), None);

    let mut short = Blob::in_pieces(10, "", |_| async { Ok(Bytes::new()) });
    assert!(matches!(next(&mut short), Err(BlobError::Unavailable(_))));
}
