//! WAV: chunks, integers and floats of every width, A-law and mu-law, the extensible header.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(b"RIFF") {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
