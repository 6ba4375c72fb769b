//! WAV: chunks, integers and floats of every width, A-law and mu-law, ADPCM, MP3, the extensible header. Also its relatives: RF64,
//! BW64, Wave64, RIFX, AU and CAF.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    let marks: [&[u8]; 8] = [b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b".snd", b"dns.", b"caff"];
    if !marks.iter().any(|mark| bytes.starts_with(mark)) {
        return Corpus::Reject;
    }
    vocalizer_fuzz::decode(bytes);
    Corpus::Keep
});
