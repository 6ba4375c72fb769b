//! Matroska and WebM: EBML, lacing, every codec that is decoded in it.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
