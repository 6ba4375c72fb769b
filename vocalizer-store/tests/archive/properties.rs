use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::Stems;
use vocalizer_store::archive;

use super::support::{finished, four};

fn stem() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 1..3000).prop_map(Bytes::from)
}

proptest! {
    #[test]
    fn written_stems_are_read_back(drums in stem(), bass in stem(), other in stem(), vocals in stem()) {
        let stems = Stems { drums, bass, other, vocals };
        let tar = archive::write(&stems, Vec::new()).unwrap();
        prop_assert_eq!(tar.len() % 512, 0);
        prop_assert_eq!(archive::read_stems(tar.as_slice(), &Limits::for_testing()).unwrap(), stems);
    }

    /// Changes bytes and repairs checksums, so that the changes pass the checksum test.
    #[test]
    fn changed_archive_gives_four_stems_within_limits_or_an_error(
        changes in vec((any::<Index>(), any::<u8>()), 1..12),
        cut in any::<Index>(),
        repair in any::<bool>(),
    ) {
        let mut tar = finished(&four());
        for (at, value) in changes {
            let at = at.index(tar.len());
            tar[at] = value;
        }
        if repair {
            for block in tar.chunks_exact_mut(1024).map(|pair| &mut pair[..512]) {
                let mut header = tar::Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        } else {
            tar.truncate(cut.index(tar.len() + 1));
        }
        let limits = Limits { max_stem_bytes: 600, ..Limits::for_testing() };
        let mut seen = BTreeMap::new();
        let outcome = archive::read(tar.as_slice(), &limits, |stem, piece| {
            assert!(!piece.is_empty());
            *seen.entry(stem).or_insert(0) += piece.len();
            Ok(())
        });
        prop_assert!(seen.values().all(|&size_bytes| size_bytes <= 600));
        prop_assert!(outcome.is_err() || seen.len() == 4);
    }

    #[test]
    fn noise_is_rejected(bytes in vec(any::<u8>(), 0..3000)) {
        prop_assert!(archive::read_stems(bytes.as_slice(), &Limits::for_testing()).is_err());
    }
}
