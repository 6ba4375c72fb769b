//! TLS by the crate's features.

use bytes::Bytes;
#[cfg(not(feature = "__rustls"))]
use reqwest::ClientBuilder;
use vocalizer_api::causes::BoxError;

/// Sets up TLS with the system's root certificates and `roots_pem`.
#[cfg(not(any(feature = "__rustls", feature = "native-tls")))]
pub(crate) fn setup(builder: ClientBuilder, encrypted: bool, _: &[Bytes]) -> Result<ClientBuilder, BoxError> {
    if encrypted {
        return Err(
            "https needs one of the features rustls-aws-lc, rustls-ring, rustls-no-provider and native-tls".into()
        );
    }
    Ok(builder)
}

/// Sets up TLS with the system's root certificates and `roots_pem`.
#[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
pub(crate) fn setup(builder: ClientBuilder, _: bool, roots_pem: &[Bytes]) -> Result<ClientBuilder, BoxError> {
    let mut builder = builder.tls_backend_native();
    for pem in roots_pem {
        let roots = reqwest::Certificate::from_pem_bundle(pem)?;
        if roots.is_empty() {
            return Err("the root certificate is not valid PEM".into());
        }
        builder = builder.tls_certs_merge(roots);
    }
    Ok(builder)
}

#[cfg(feature = "__rustls")]
pub(crate) use with_rustls::setup;

#[cfg(feature = "__rustls")]
mod with_rustls {
    use std::sync::Arc;

    use reqwest::ClientBuilder;
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, RootCertStore};
    use rustls_platform_verifier::{BuilderVerifierExt, Verifier};

    use super::{BoxError, Bytes};

    /// Returns the feature's crypto provider, independent of the one that the process has installed.
    #[cfg(feature = "rustls-aws-lc")]
    fn provider() -> Option<Arc<CryptoProvider>> {
        Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
    }

    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
    fn provider() -> Option<Arc<CryptoProvider>> {
        Some(Arc::new(rustls::crypto::ring::default_provider()))
    }

    #[cfg(not(any(feature = "rustls-aws-lc", feature = "rustls-ring")))]
    fn provider() -> Option<Arc<CryptoProvider>> {
        CryptoProvider::get_default().cloned()
    }

    /// Sets up TLS with the system's root certificates and `roots_pem`. Without encryption the system's are not loaded,
    /// since some containers have none.
    pub(crate) fn setup(
        builder: ClientBuilder,
        encrypted: bool,
        roots_pem: &[Bytes],
    ) -> Result<ClientBuilder, BoxError> {
        let mut roots = Vec::new();
        for pem in roots_pem {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.push(certificate?);
            }
            if roots.len() == before {
                return Err("the root certificate is not valid PEM".into());
            }
        }
        let provider = provider().ok_or("no crypto provider: install one with CryptoProvider::install_default")?;
        let config =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let mut config = match (encrypted, roots.is_empty()) {
            (false, _) => config.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            (true, true) => config.with_platform_verifier()?.with_no_client_auth(),
            (true, false) => {
                let verifier = Verifier::new_with_extra_roots(roots, provider)?;
                config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(builder.tls_backend_preconfigured(config))
    }
}
