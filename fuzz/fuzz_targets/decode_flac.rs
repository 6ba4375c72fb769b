//! FLAC: metadata blocks, all subframe types, the checksum of all samples.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(b"fLaC") && !bytes.starts_with(b"ID3") {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
