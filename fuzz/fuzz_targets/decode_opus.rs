//! Opus inside Ogg.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(b"OggS") {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(&vocalizer_fuzz::with_checksums(bytes));
    Corpus::Keep
});
