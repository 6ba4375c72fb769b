use std::io::{self, Read};

use tar::EntryType;
use vocalizer_core::limits::Limits;
use vocalizer_core::part::Stem;
use vocalizer_store::archive::{self, ArchiveError, MAX_TRAILER_BYTES};

use super::support::{NAMES, entry, finished, four, stems};

#[test]
fn written_stems_are_read_back() {
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    assert_eq!(archive::read_stems(tar.as_slice(), &Limits::for_testing()).unwrap(), stems());
}

#[test]
fn stems_arrive_in_archive_order() {
    let mut entries = four();
    entries.reverse();
    let mut seen = Vec::new();
    archive::read(finished(&entries).as_slice(), &Limits::for_testing(), |stem, piece| {
        seen.push((stem, piece));
        Ok(())
    })
    .unwrap();
    let expected = [(Stem::VOCALS, 3), (Stem::OTHER, 2), (Stem::DRUMS, 1), (Stem::BASS, 0)];
    assert_eq!(seen, expected.map(|(stem, name)| (stem, NAMES[name].into())));
}

#[test]
fn leading_dot_slash_is_accepted() {
    let entries = NAMES.map(|name| entry(&format!("./{name}"), EntryType::Regular, b"x"));
    assert!(archive::read_stems(finished(&entries).as_slice(), &Limits::for_testing()).is_ok());
}

#[test]
fn pax_times_from_python_are_ignored() {
    let mut entries = Vec::new();
    for file in four() {
        entries.push(entry("././@PaxHeader", EntryType::XHeader, b"28 mtime=1764000000.1234567\n"));
        entries.push(file);
    }
    let stems = archive::read_stems(finished(&entries).as_slice(), &Limits::for_testing()).unwrap();
    assert_eq!(stems.bass, "bass.mp3");
}

#[test]
fn end_marker_may_be_missing_or_long() {
    let limits = Limits::for_testing();
    assert!(archive::read_stems(four().concat().as_slice(), &limits).is_ok());
    let mut padded = finished(&four());
    padded.resize(padded.len().next_multiple_of(10240), 0);
    assert!(archive::read_stems(padded.as_slice(), &limits).is_ok());
}

#[test]
fn endless_zeros_are_rejected() {
    let long = io::Cursor::new(four().concat()).chain(io::repeat(0).take(8 * MAX_TRAILER_BYTES));
    let mut counted = Counted { inner: long, bytes: 0 };
    assert!(archive::read_stems(&mut counted, &Limits::for_testing()).is_err());
    assert!(counted.bytes < MAX_TRAILER_BYTES + 64 * 1024, "{} bytes read", counted.bytes);
}

#[test]
fn stem_over_the_limit_is_rejected_unread() {
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    let at = Limits { max_stem_bytes: 1500, ..Limits::for_testing() };
    assert!(archive::read_stems(tar.as_slice(), &at).is_ok());
    let below = Limits { max_stem_bytes: 1499, ..at };
    let mut seen = Vec::new();
    let error = archive::read(tar.as_slice(), &below, |stem, _| {
        seen.push(stem);
        Ok(())
    });
    assert!(
        matches!(error, Err(ArchiveError::Limit { stem: Stem::VOCALS, max_bytes: 1499, found_bytes: 1500 })),
        "{error:?}"
    );
    assert_eq!(seen, [Stem::BASS, Stem::DRUMS, Stem::OTHER]);
}

#[test]
fn failing_sink_is_a_write_error() {
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    let error = archive::read(tar.as_slice(), &Limits::for_testing(), |_, _| Err(io::ErrorKind::StorageFull.into()));
    assert!(
        matches!(&error, Err(ArchiveError::Write(cause)) if cause.kind() == io::ErrorKind::StorageFull),
        "{error:?}"
    );
}

#[test]
fn broken_connection_is_a_read_error() {
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    for cut in [0, 100, 512, 600, 2000, tar.len() - 600, tar.len()] {
        let broken = tar[..cut].chain(Fails(io::ErrorKind::ConnectionReset));
        let error = archive::read_stems(broken, &Limits::for_testing()).unwrap_err();
        assert!(
            matches!(&error, ArchiveError::Read(cause) if cause.kind() == io::ErrorKind::ConnectionReset),
            "at {cut}: {error:?}"
        );
    }
}

#[test]
fn interrupted_read_is_retried() {
    struct Interrupts<'a>(&'a [u8], bool);
    impl Read for Interrupts<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(buffer) }
        }
    }
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    assert_eq!(archive::read_stems(Interrupts(&tar, false), &Limits::for_testing()).unwrap(), stems());
}

struct Fails(io::ErrorKind);

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.bytes += len as u64;
        Ok(len)
    }
}
