use bytes::Bytes;
use std::io::{self, Write};
use vocalizer_core::ports::Stems;
use vocalizer_store::archive::{self, ArchiveError, Flaw};

use super::support::{NAMES, stems};

#[test]
fn archive_has_four_regular_files_in_alphabetical_order() {
    let tar = archive::write(&stems(), Vec::new()).unwrap();
    let mut reader = tar::Archive::new(tar.as_slice());
    let found: Vec<_> = reader
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.header().entry_type(), tar::EntryType::Regular);
            assert_eq!(entry.header().mode().unwrap(), 0o644);
            (entry.path().unwrap().to_string_lossy().into_owned(), entry.size())
        })
        .collect();
    let expected: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).zip([512, 700, 1, 1500]).collect();
    assert_eq!(found, expected);
}

#[test]
fn equal_stems_give_equal_bytes() {
    assert_eq!(archive::write(&stems(), Vec::new()).unwrap(), archive::write(&stems(), Vec::new()).unwrap());
}

#[test]
fn empty_stem_is_rejected_before_writing() {
    let mut out = Vec::new();
    let error = archive::write(&Stems { vocals: Bytes::new(), ..stems() }, &mut out).unwrap_err();
    assert!(matches!(error, ArchiveError::Malformed(Flaw::Empty { .. })), "{error:?}");
    assert!(out.is_empty());
}

#[test]
fn failing_writer_is_a_write_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = archive::write(&stems(), Full).err().unwrap();
    assert!(matches!(&error, ArchiveError::Write(cause) if cause.kind() == io::ErrorKind::StorageFull), "{error:?}");
}
