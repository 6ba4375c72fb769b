//! TLS configuration.

use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};
use vocalizer_api::causes::BoxError;

/// Returns a TLS configuration with ring, independent of the process's default provider. It trusts the system's root
/// certificates and `roots_pem`. Without encryption the system's are not loaded, since some containers have none.
pub(crate) fn config(encrypted: bool, roots_pem: &[Bytes]) -> Result<ClientConfig, BoxError> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok(match (encrypted, roots.is_empty()) {
        (false, _) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        (true, true) => builder.with_platform_verifier()?.with_no_client_auth(),
        (true, false) => {
            let verifier = Verifier::new_with_extra_roots(roots, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    })
}
