//! FLAC: metadata blocks, every kind of subframe, the checksum over all samples.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| -> Corpus {
    if !bytes.starts_with(b"fLaC") && !bytes.starts_with(b"ID3") {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
