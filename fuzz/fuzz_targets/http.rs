//! Arbitrary bytes on an HTTP connection: never a 500.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vocalizer_fuzz::service::{Service, has_internal_error};

fuzz_target!(|bytes: &[u8]| {
    let service = Service::default();
    let answer = service.exchange(bytes, true);
    assert!(!has_internal_error(&answer), "{}", String::from_utf8_lossy(&answer));
});
