//! Handmade archives, because the writer under test only creates valid ones.

use bytes::Bytes;
use tar::{EntryType, Header};
use vocalizer_core::ports::Stems;

pub(super) const NAMES: [&str; 4] = ["bass.mp3", "drums.mp3", "other.mp3", "vocals.mp3"];

pub(super) fn stems() -> Stems {
    Stems {
        drums: Bytes::from(vec![1; 700]),
        bass: Bytes::from(vec![2; 512]),
        other: Bytes::from(vec![3; 1]),
        vocals: Bytes::from(vec![4; 1500]),
    }
}

/// Returns a raw entry. The name is not checked, as from a hostile worker.
pub(super) fn entry(name: &str, kind: EntryType, bytes: &[u8]) -> Vec<u8> {
    entry_claiming(name, kind, bytes.len() as u64, bytes)
}

/// The same with another size in the header. The padding fits the actual bytes.
pub(super) fn entry_claiming(name: &str, kind: EntryType, size_bytes: u64, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size_bytes);
    header.set_cksum();
    let mut raw = header.as_bytes().to_vec();
    raw.extend_from_slice(bytes);
    raw.resize(raw.len().next_multiple_of(512), 0);
    raw
}

/// Returns the entries of the four stems; each contains its own name.
pub(super) fn four() -> Vec<Vec<u8>> {
    NAMES.map(|name| entry(name, EntryType::Regular, name.as_bytes())).to_vec()
}

/// Returns an archive with these entries and the end marker.
pub(super) fn finished(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}
