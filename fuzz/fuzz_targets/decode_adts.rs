//! Raw AAC (ADTS).

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| {
    vocalizer_fuzz::decode(bytes);
});
