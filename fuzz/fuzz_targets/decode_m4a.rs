//! MP4 and M4A: boxes, edit lists, the iTunes comment, AAC, ALAC, with and without fragments.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    if bytes.get(4..8) != Some(b"ftyp".as_slice()) {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
