//! MP3, and the two older layers of MPEG audio: ID3 tags, junk before the first frame, Xing, LAME and VBRI tags.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: vocalizer_fuzz::leave_panics_to_the_reader(), |bytes: &[u8]| {
    vocalizer_fuzz::decode(bytes);
});
