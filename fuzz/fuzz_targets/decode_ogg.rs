//! Ogg: Vorbis, and FLAC inside Ogg.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| -> Corpus {
    vocalizer_fuzz::decode_ogg(bytes)
});
