//! Result archives: four stems within their limits, or an error; the same result whether read at once, stem by stem or with what
//! original programs do not know.

#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::MemoryBlobs;
use vocalizer_core::ports::{Blob, Received, ResultReader as _};
use vocalizer_store::archive::{self, TarResults};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_stem_bytes: 2048, ..Limits::default() };
    let mut seen = BTreeMap::new();
    let by_stem = archive::read(bytes, &limits, |stem, piece| {
        assert!(!piece.is_empty());
        *seen.entry(stem).or_insert(0) += piece.len();
        Ok(())
    });
    assert!(seen.values().all(|&size_bytes| size_bytes <= 2048));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (whole, blobs) = (Blob::from(Bytes::copy_from_slice(bytes)), MemoryBlobs::default());
    let received = runtime.block_on(TarResults::new(limits).read(Box::pin(whole), &blobs));
    assert!(received.is_ok() || by_stem.is_err(), "an archive of four MP3s is always accepted");
    if let Ok(Received { files, provenance }) = received {
        assert!(matches!(files.len(), 4 | 8));
        assert!(provenance.is_none_or(|provenance| provenance.check().is_ok()));
    }
    let at_once = archive::read_stems(bytes, &limits);
    assert_eq!(by_stem.is_ok(), at_once.is_ok());
    if let Ok(stems) = at_once {
        assert_eq!(seen.len(), 4);
        let again = archive::write(&stems, Vec::new()).expect("stems that were read can be written");
        assert_eq!(archive::read_stems(again.as_slice(), &limits).expect("and read again"), stems);
    }
});
