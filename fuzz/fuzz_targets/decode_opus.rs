//! Opus in Ogg.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    vocalizer_fuzz::decode_ogg(bytes)
});
