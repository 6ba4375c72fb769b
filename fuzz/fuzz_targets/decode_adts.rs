//! Bare AAC.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| {
    vocalizer_fuzz::decode(bytes);
});
