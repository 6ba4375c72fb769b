//! SHA-256 in hexadecimal.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// A running SHA-256.
#[derive(Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> String {
        let mut out = String::with_capacity(64);
        for byte in self.0.finalize() {
            let _ = write!(out, "{byte:02x}"); // writing into a string does not fail
        }
        out
    }
}

/// The digest of these bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// The digest of several networks: that of the only one, or that of all digests in order.
#[cfg(feature = "separate")]
pub(crate) fn of_networks(digests: &[String]) -> String {
    match digests {
        [only] => only.clone(),
        digests => of_bytes(digests.concat().as_bytes()),
    }
}

/// The digest of everything `reader` gives.
pub(super) fn of_reader(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
