//! Helpers for the targets: temporary files, checks of [`AudioReader`], and a panic hook.

pub mod service;

use std::backtrace::Backtrace;
use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

use libfuzzer_sys::Corpus;
use vocalizer_model::audio::{AudioLimits, AudioReader};

/// Tight limits, so that a small file cannot cause much work.
const LIMITS: AudioLimits = AudioLimits {
    max_duration_s: 2,
    max_channels: 8,
    min_rate_hz: 1_000,
    max_rate_hz: 384_000,
    max_metadata_bytes: 1 << 20,
};

/// An unnamed temporary file, opened by its path in `/proc/self/fd`. It is in `TMPDIR`, which `run.sh` sets to a folder in
/// memory, and disappears when the process ends.
pub struct Scratch {
    file: File,
    path: PathBuf,
}

impl Default for Scratch {
    fn default() -> Self {
        let file = tempfile::tempfile().expect("a temporary file");
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Self { file, path }
    }
}

impl Scratch {
    /// Writes the bytes to the file and returns its path, valid until the next call.
    pub fn holding(&self, bytes: &[u8]) -> &PathBuf {
        self.file.set_len(0).expect("an empty file");
        self.file.write_all_at(bytes, 0).expect("a written file");
        &self.path
    }
}

thread_local! {
    static SCRATCH: Scratch = Scratch::default();
}

/// Runs `test` with the path of a file with these bytes.
pub fn with_file<T>(bytes: &[u8], test: impl FnOnce(&PathBuf) -> T) -> T {
    SCRATCH.with(|scratch| test(scratch.holding(bytes)))
}

/// Reads the bytes as a song. Errors are fine; panics and successes that violate the documentation are not.
pub fn decode(bytes: &[u8]) {
    let Ok(mut reader) = with_file(bytes, |path| AudioReader::open(path, &LIMITS)) else { return };
    let info = reader.info().clone();
    assert!((LIMITS.min_rate_hz..=LIMITS.max_rate_hz).contains(&info.rate_hz), "{info:?}");
    assert!((1..=LIMITS.max_channels).contains(&info.channels), "{info:?}");
    let most = LIMITS.max_duration_s * u64::from(info.rate_hz);
    assert!(info.frames.is_none_or(|frames| frames <= most), "{info:?}");
    let mut given = 0;
    let mut block = Vec::new();
    loop {
        block.clear();
        match reader.read(&mut block) {
            Ok(true) => {
                assert!(!block.is_empty(), "a block without frames after {given}");
                assert!(
                    block.iter().flatten().all(|sample| sample.is_finite()),
                    "a non-finite sample after {given} frames"
                );
                given += block.len() as u64;
                assert!(given <= most, "{given} frames exceed the limit of {info:?}");
            }
            Ok(false) => {
                assert!(block.is_empty(), "frames at the end");
                assert!(given > 0, "a song without a frame");
                assert!(
                    matches!(reader.read(&mut block), Ok(false)) && block.is_empty(),
                    "the end of the song did not last"
                );
                return;
            }
            Err(_) => {
                assert!(reader.read(&mut block).is_err(), "an error that did not last");
                return;
            }
        }
    }
}

/// Like [`decode`], for Ogg files, with corrected page checksums.
pub fn decode_ogg(bytes: &[u8]) -> Corpus {
    if !bytes.starts_with(b"OggS") {
        return Corpus::Reject;
    }
    decode(&with_checksums(bytes));
    Corpus::Keep
}

/// Corrects the checksums of Ogg pages; otherwise mutations would not get past the first page.
fn with_checksums(ogg: &[u8]) -> Vec<u8> {
    let mut out = ogg.to_vec();
    let mut rest = out.as_mut_slice();
    while rest.starts_with(b"OggS") {
        let segments = rest.get(26).map_or(0, |&n| usize::from(n));
        let Some(table) = rest.get(27..27 + segments) else { break };
        let len = 27 + segments + table.iter().map(|&n| usize::from(n)).sum::<usize>();
        let Some((page, after)) = rest.split_at_mut_checked(len) else { break };
        page[22..26].fill(0);
        let sum = page.iter().fold(0_u32, |sum, &byte| {
            (0..8)
                .fold(sum ^ (u32::from(byte) << 24), |sum, _| (sum << 1) ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 })
        });
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        rest = after;
    }
    out
}

/// Replaces libFuzzer's panic hook, which ends the run even if the panic is caught. The reader catches symphonia's panics and
/// returns an error, so this only prints a panic, once per code location; an uncaught panic still ends the run.
pub fn print_caught_panics() {
    let printed = Mutex::new(HashSet::new());
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| (place.file().to_owned(), place.line()));
        if printed.lock().is_ok_and(|mut printed| printed.insert(place)) {
            eprintln!("caught panic: {panic}\n{}", Backtrace::force_capture());
        }
    }));
}
