//! Checkpoints built by hand: zip archives and pickles, valid and not.

use std::path::Path;

use tempfile::TempDir;
use vocalizer_model::weights::{CheckpointFile, WeightsError};

/// An entry of an archive, and what its headers claim.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) claimed_bytes: u32,
    pub(crate) crc32: u32,
}

impl Entry {
    pub(crate) fn new(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.into(),
            data: data.into(),
            method: 0,
            flags: 0,
            claimed_bytes: u32::try_from(data.len()).expect("a small entry"),
            crc32: crc32fast::hash(data),
        }
    }

    /// The fields that both headers of an entry have.
    fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [20, self.flags, self.method, 0, 0x21] {
            out.extend(field.to_le_bytes());
        }
        for field in [self.crc32, self.claimed_bytes, self.claimed_bytes] {
            out.extend(field.to_le_bytes());
        }
        out.extend(u16::try_from(self.name.len()).expect("a short name").to_le_bytes());
        out.extend([0, 0]);
        out
    }
}

/// An archive of these entries.
pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = u32::try_from(out.len()).expect("a small archive");
        out.extend([&b"PK\x03\x04"[..], &entry.header(), entry.name.as_bytes(), &entry.data].concat());
        directory.extend([&b"PK\x01\x02\x14\0"[..], &entry.header(), &[0; 10], &start.to_le_bytes()].concat());
        directory.extend(entry.name.as_bytes());
    }
    let start = u32::try_from(out.len()).expect("a small archive");
    let count = u16::try_from(entries.len()).expect("few entries").to_le_bytes();
    let size = u32::try_from(directory.len()).expect("a small directory");
    out.extend(directory);
    out.extend(
        [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat(),
    );
    out
}

/// The operations of a pickle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(b"\x80\x02".into())
    }

    /// Adds operations as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        let length = u32::try_from(text.len()).expect("a short text").to_le_bytes();
        self.raw(b"X").raw(&length).raw(text.as_bytes())
    }

    pub(crate) fn int(self, value: i32) -> Self {
        self.raw(b"J").raw(&value.to_le_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(crate) fn tuple(self, values: &[i32]) -> Self {
        values.iter().fold(self.raw(b"("), |pickle, value| pickle.int(*value)).raw(b"t")
    }

    /// A tensor, as `torch.save` describes it.
    pub(crate) fn tensor(self, view: &View) -> Self {
        let parts = self.global("torch._utils", "_rebuild_tensor_v2").raw(b"((").text("storage");
        let parts = parts.global("torch", view.storage).text(view.name).text("cpu").int(view.values).raw(b"tQ");
        let parts = parts.int(view.offset).tuple(&view.shape).tuple(&view.strides).raw(b"\x89");
        parts.global("collections", "OrderedDict").raw(b")RtR")
    }

    /// The rest of a pickle that has only this state dict: the items between its mark and its end.
    pub(crate) fn state_dict(items: &[(&str, View)]) -> Vec<u8> {
        items.iter().fold(Self::new().raw(b"}("), |pickle, (key, view)| pickle.text(key).tensor(view)).raw(b"u.").0
    }
}

/// A tensor: some values of a storage.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) storage: &'static str,
    pub(crate) name: &'static str,
    pub(crate) values: i32,
    pub(crate) offset: i32,
    pub(crate) shape: Vec<i32>,
    pub(crate) strides: Vec<i32>,
}

impl View {
    /// Some of the six values of storage `0`.
    pub(crate) fn of_six(offset: i32, shape: &[i32], strides: &[i32]) -> Self {
        Self { storage: "FloatStorage", name: "0", values: 6, offset, shape: shape.into(), strides: strides.into() }
    }
}

/// The values 1 to 6.
pub(crate) fn six() -> Vec<u8> {
    (1_u8..=6).flat_map(|value| f32::from(value).to_le_bytes()).collect()
}

/// A checkpoint with this pickle and the storage `0`.
pub(crate) fn checkpoint(pickle: &[u8]) -> Vec<u8> {
    zip(&entries(pickle))
}

pub(crate) fn entries(pickle: &[u8]) -> Vec<Entry> {
    vec![
        Entry::new("net/data.pkl", pickle),
        Entry::new("net/byteorder", b"little"),
        Entry::new("net/data/0", &six()),
        Entry::new("net/version", b"3\n"),
    ]
}

pub(crate) fn write(bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("net.ckpt");
    std::fs::write(&path, bytes).expect("a file");
    (dir, path)
}

pub(crate) fn open(bytes: &[u8]) -> Result<CheckpointFile, WeightsError> {
    let (_dir, path) = write(bytes);
    CheckpointFile::open(Path::new(&path))
}
