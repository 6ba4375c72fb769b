//! AIFF and AIFF-C: chunks, the 80-bit sample rate, the kinds of PCM it holds.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(b"FORM") {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
