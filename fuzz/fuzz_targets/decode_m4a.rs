//! MP4 and M4A: boxes, edit lists, iTunes's comment, AAC, ALAC, whole and in fragments.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| -> Corpus {
    if bytes.get(4..8) != Some(b"ftyp".as_slice()) {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
