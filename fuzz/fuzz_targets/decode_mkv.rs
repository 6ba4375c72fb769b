//! Matroska and WebM: EBML, lacing, all supported codecs.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
