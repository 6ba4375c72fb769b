use vocalizer_client::{Client, Error};

#[test]
fn invalid_addresses_are_rejected_without_leaking() {
    for address in [
        "",
        "localhost:8000",
        "ftp://host/",
        "file:///etc/passwd",
        "http://",
        "http://ada:hunter2@host/",
        "http://hunter2@host/",
        "http://host/?token=hunter2",
        "http://host/#x",
    ] {
        let builder = Client::builder(address);
        assert!(!format!("{builder:?}").contains("hunter2"));
        let error = builder.build().unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{address}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[test]
fn addresses_work_with_and_without_trailing_slash() {
    for address in ["http://127.0.0.1:8000", "http://[::1]:8000/", "http://host/below/this"] {
        assert!(Client::builder(address).build().is_ok(), "{address}");
    }
}

/// TLS needs its provider when the client is built, not at the first call.
#[test]
fn tls_works_without_process_wide_provider() {
    match Client::builder("https://vocalizer.example").build() {
        Ok(client) => assert!(format!("{client:?}").contains("https://vocalizer.example/")),
        // Fails on a machine without root certificates.
        Err(error) => assert!(matches!(error, Error::Setup(_)), "{error:?}"),
    }
}
