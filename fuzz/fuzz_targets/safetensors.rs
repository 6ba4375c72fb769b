//! Weights files: the header, the arguments in its metadata, the resulting network, and all tensor values.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vocalizer_model::weights::WeightsFile;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Read it again with a corrected header length (up to the first zero byte): otherwise mutations that change the length
    // would fail at once.
    if let Some((_, rest)) = bytes.split_first_chunk::<8>() {
        let header = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
        read(&[&(header as u64).to_le_bytes(), rest].concat());
    }
});

fn read(bytes: &[u8]) {
    let Ok(file) = vocalizer_fuzz::with_file(bytes, |path| WeightsFile::open(path)) else { return };
    let _ = file.check();
    let mut all_floats = true;
    for key in file.keys() {
        let count = file.shape(key).map(|shape| shape.iter().product::<usize>());
        match file.f32s(key) {
            Ok(values) => assert_eq!(Some(values.len()), count, "{key}"),
            Err(_) => all_floats = false,
        }
    }
    assert_eq!(file.tensor_digest().is_ok(), all_floats);
}
