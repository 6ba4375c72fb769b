//! AIFF and AIFF-C: chunks, the 80-bit sample rate, all PCM formats.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(b"FORM") {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
