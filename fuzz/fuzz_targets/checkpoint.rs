//! PyTorch checkpoints: the archive, the pickle in it, and all tensor values.

#![no_main]

use std::io::{Cursor, Write as _};

use libfuzzer_sys::fuzz_target;
use vocalizer_model::weights::CheckpointFile;
use zip::write::SimpleFileOptions;

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"PK") {
        read(bytes);
    } else {
        // A whole archive around the pickle: mutations rarely keep one whole.
        read(&archive(bytes));
    }
});

fn read(bytes: &[u8]) {
    let Ok(file) = vocalizer_fuzz::with_file(bytes, |path| CheckpointFile::open(path)) else { return };
    for key in file.keys() {
        let count = file.shape(key).map(|shape| shape.iter().product::<usize>());
        let dtype = file.dtype(key).expect("a type");
        match file.f32s(key) {
            Ok(values) => assert_eq!(Some(values.len()), count, "{key}"),
            Err(_) => assert!(!dtype.is_float(), "{key}"),
        }
    }
}

/// An archive with this pickle and two storages of 24 bytes.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, data) in [("net/data.pkl", pickle), ("net/data/0", &[1; 24]), ("net/data/1", &[0; 24])] {
        zip.start_file(name, stored).expect("an entry");
        zip.write_all(data).expect("its bytes");
    }
    zip.finish().expect("an archive").into_inner()
}
