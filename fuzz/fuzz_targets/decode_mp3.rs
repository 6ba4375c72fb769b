//! MP3 and MPEG audio layers I and II: ID3 tags, junk before the first frame, Xing, LAME and VBRI tags.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| {
    vocalizer_fuzz::decode(bytes);
});
