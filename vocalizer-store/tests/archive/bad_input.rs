use std::error::Error;

use tar::EntryType;
use vocalizer_core::limits::Limits;
use vocalizer_core::part::Stem;
use vocalizer_store::archive::{self, ArchiveError, Flaw};

use super::support::{entry, entry_claiming, finished, four, stems};

fn flaw(tar: &[u8]) -> Flaw {
    match archive::read_stems(tar, &Limits::for_testing()) {
        Err(ArchiveError::Malformed(flaw)) => flaw,
        other => panic!("not rejected as malformed: {other:?}"),
    }
}

/// Returns the flaw of an archive with the four stems and this entry.
fn flaw_among(extra: Vec<u8>) -> Flaw {
    let mut entries = four();
    entries.insert(2, extra);
    flaw(&finished(&entries))
}

#[test]
fn other_names_are_rejected() {
    for name in [
        "guitar.mp3",
        "bass.wav",
        "Bass.mp3",
        "bass.mp3/",
        "stems/bass.mp3",
        "/bass.mp3",
        "../bass.mp3",
        "././bass.mp3",
        ".//bass.mp3",
        "./../bass.mp3",
        "./",
        "",
        ".bass.mp3",
        "C:\\bass.mp3",
    ] {
        let found = flaw_among(entry(name, EntryType::Regular, b"x"));
        assert!(matches!(&found, Flaw::Name { name: reported } if reported == name), "{name:?}: {found:?}");
    }
}

#[test]
fn ustar_prefix_counts_as_part_of_the_name() {
    let mut raw = entry("bass.mp3", EntryType::Regular, b"x");
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes().copy_from_slice(&raw[..512]);
    header.as_ustar_mut().unwrap().prefix[..2].copy_from_slice(b"..");
    header.set_cksum();
    raw[..512].copy_from_slice(header.as_bytes());
    assert!(matches!(flaw_among(raw), Flaw::Name { name } if name == "../bass.mp3"));
}

#[test]
fn other_entry_types_are_rejected_under_valid_names() {
    for kind in [
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XGlobalHeader,
        EntryType::new(b'Z'),
    ] {
        let found = flaw(&finished(&[entry("bass.mp3", kind, b"x")]));
        assert!(matches!(found, Flaw::Type { .. }), "{kind:?}: {found:?}");
    }
}

#[test]
fn long_names_and_pax_headers_are_not_read_into_memory() {
    let huge = 1 << 40;
    let long = entry_claiming("././@LongLink", EntryType::GNULongName, huge, b"x");
    assert!(matches!(flaw_among(long), Flaw::Type { type_byte: 'L' }));
    let pax = entry_claiming("./PaxHeaders/x", EntryType::XHeader, huge, b"x");
    assert!(matches!(flaw_among(pax), Flaw::Pax));
}

#[test]
fn pax_header_may_not_rename_or_resize_a_file_or_make_it_sparse() {
    for record in [
        "21 path=../evil.mp3\n",
        "12 size=999\n",
        "19 linkpath=/passwd\n",
        "22 GNU.sparse.major=1\n",
        "30 GNU.sparse.realsize=1000000\n",
        "11 mtime=1\n19 path=evil.mp3\n",
        "no record\n",
        "99 mtime=1\n",
    ] {
        let found = flaw_among(entry("./PaxHeaders/x", EntryType::XHeader, record.as_bytes()));
        assert!(matches!(found, Flaw::Pax), "{record:?}: {found:?}");
    }
}

#[test]
fn pax_header_must_be_single_and_precede_a_file() {
    let pax = || entry("./PaxHeaders/x", EntryType::XHeader, b"11 mtime=1\n");
    let mut at_the_end = four();
    at_the_end.push(pax());
    assert!(matches!(flaw(&finished(&at_the_end)), Flaw::Pax));
    assert!(matches!(flaw_among([pax(), pax()].concat()), Flaw::Pax));
}

#[test]
fn duplicate_stem_is_rejected() {
    for name in ["drums.mp3", "./drums.mp3"] {
        let found = flaw_among(entry(name, EntryType::Regular, b"again"));
        assert!(matches!(found, Flaw::Twice { stem: Stem::DRUMS }), "{found:?}");
    }
}

#[test]
fn missing_stem_is_named() {
    for (index, stem) in [Stem::BASS, Stem::DRUMS, Stem::OTHER, Stem::VOCALS].into_iter().enumerate() {
        let mut entries = four();
        entries.remove(index);
        let found = flaw(&finished(&entries));
        assert!(matches!(found, Flaw::Missing { stem: reported } if reported == stem), "{found:?}");
    }
    assert!(matches!(flaw(b""), Flaw::Missing { .. }));
    assert!(matches!(flaw(&[0; 10240]), Flaw::Missing { .. }));
}

#[test]
fn empty_stem_is_rejected() {
    let mut entries = four();
    entries[3] = entry("vocals.mp3", EntryType::Regular, b"");
    assert!(matches!(flaw(&finished(&entries)), Flaw::Empty { stem: Stem::VOCALS }));
}

#[test]
fn terabyte_stem_is_rejected_by_its_header() {
    let mut entries = four();
    entries[3] = entry_claiming("vocals.mp3", EntryType::Regular, 1 << 40, b"x");
    let error = archive::read_stems(finished(&entries).as_slice(), &Limits::for_testing()).unwrap_err();
    assert!(matches!(error, ArchiveError::Limit { found_bytes, .. } if found_bytes == 1 << 40), "{error:?}");
}

#[test]
fn overflowing_size_is_rejected() {
    for claimed in [u64::MAX, u64::MAX - 511, 1 << 63] {
        let mut entries = four();
        entries[3] = entry_claiming("vocals.mp3", EntryType::Regular, claimed, b"x");
        assert!(archive::read_stems(finished(&entries).as_slice(), &Limits::for_testing()).is_err());
    }
}

#[test]
fn truncation_before_the_end_marker_is_rejected() {
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    let end = tar.len() - 1024;
    for cut in 0..end {
        assert!(archive::read_stems(&tar[..cut], &Limits::for_testing()).is_err(), "cut at {cut}");
    }
    assert!(matches!(flaw(&tar[..700]), Flaw::CutOff));
    assert!(matches!(flaw(&tar[..1300]), Flaw::CutOff));
}

#[test]
fn data_after_the_end_is_rejected() {
    let mut tar = finished(&four());
    tar.extend_from_slice(&four().concat());
    assert!(matches!(flaw(&tar), Flaw::Trailer));
}

#[test]
fn gzip_text_and_noise_are_rejected() {
    let mut gzip = vec![0x1f, 0x8b, 8, 0];
    gzip.extend((0..2000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()));
    for bytes in [gzip, b"<html>".repeat(300), vec![0xff; 4096]] {
        assert!(matches!(flaw(&bytes), Flaw::Header(_)));
    }
    assert!(matches!(flaw(b"short"), Flaw::CutOff));
}

#[test]
fn messages_do_not_repeat_their_source() {
    let error = archive::read_stems(&b"short"[..], &Limits::for_testing()).unwrap_err();
    assert_eq!(error.to_string(), "the result archive is malformed");
    assert_eq!(error.source().unwrap().to_string(), "it is truncated");
}

#[test]
fn entry_name_in_error_is_truncated_and_escaped() {
    let found = flaw_among(entry(&format!("\u{1b}[31m{}", "x".repeat(90)), EntryType::Regular, b"x"));
    let message = found.to_string();
    assert!(message.len() < 200 && !message.contains('\u{1b}'), "{message}");
}
