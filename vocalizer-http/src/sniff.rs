//! Detection of an upload's type from its first bytes. File name and declared type are not trusted.

/// Number of bytes needed.
pub(crate) const HEAD_BYTES: u64 = 16;

/// Returns the media type and the file extension.
pub(crate) fn sniff(head: &[u8]) -> (&'static str, &'static str) {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(0, b"fLaC") {
        ("audio/flac", "flac")
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        ("audio/wav", "wav")
    } else if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
        ("audio/aiff", "aiff")
    } else if at(0, b"OggS") {
        ("audio/ogg", "ogg")
    } else if at(4, b"ftyp") {
        ("audio/mp4", "m4a")
    } else if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) {
        ("audio/webm", "webm")
    } else if matches!(head, [0xff, second, ..] if second & 0xf6 == 0xf0) {
        ("audio/aac", "aac")
    } else {
        // Everything else that was accepted as a song is MP3, with or without an ID3 tag.
        ("audio/mpeg", "mp3")
    }
}
