//! Whole HTTP connections, whatever comes over them: never a fault of the server's own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vocalizer_fuzz::service::{Service, is_at_fault};

fuzz_target!(|bytes: &[u8]| {
    let service = Service::default();
    let answer = service.exchange(bytes, true);
    assert!(!is_at_fault(&answer), "{}", String::from_utf8_lossy(&answer));
});
