//! Tags of songs in containers that the library for tags does not know.

use vocalizer_model::audio::SongTags;

use super::support::{dir, ffmpeg};

#[test]
fn tags_of_flac_in_ogg_are_read() {
    let dir = dir();
    let source = ["-f", "lavfi", "-i", "sine=440:d=1"];
    for (name, codec) in [("a.oga", "flac"), ("a.flac", "flac"), ("a.ogg", "libvorbis")] {
        let texts = ["-metadata", "title=Zoo — Ж", "-metadata", "artist=A & B", "-metadata", "album=Formats"];
        let path = ffmpeg(&source, &[&["-c:a", codec], &texts[..]].concat(), &dir.path().join(name));
        let tags = SongTags::read(&path);
        let found = [tags.title.as_deref(), tags.artist.as_deref(), tags.album.as_deref()];
        assert_eq!(found, [Some("Zoo — Ж"), Some("A & B"), Some("Formats")], "{name}");
    }
}
