use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use vocalizer_client::{Client, ClientBuilder, Error};

use super::canned;

/// Starts a TLS server with a private CA. Returns its address and the root certificate.
async fn server(signed_by_itself: bool) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let (certificate, root_pem) = if signed_by_itself {
        params.is_ca = IsCa::ExplicitNoCa;
        let certificate = params.self_signed(&key).unwrap();
        let pem = certificate.pem();
        (certificate, pem)
    } else {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        (params.signed_by(&key, &authority).unwrap(), authority.pem())
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            let body = r#"{"ok":true,"errors":[],"data":{"songs":[]}}"#;
            stream.write_all(canned::answer("200 OK", "application/json", body).as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, root_pem)
}

fn builder(address: String) -> ClientBuilder {
    Client::builder(address).with_retries(0, std::time::Duration::ZERO)
}

#[tokio::test]
async fn private_root_certificates_are_trusted() {
    for signed_by_itself in [false, true] {
        let (address, root) = server(signed_by_itself).await;
        let (_, unrelated) = server(false).await;
        let client = builder(address.clone()).with_root_certificate_pem(root.clone()).build().unwrap();
        client.songs().await.unwrap();
        // Several roots, in one PEM file or in two.
        let client =
            builder(address.clone()).with_root_certificate_pem(format!("{unrelated}\n{root}")).build().unwrap();
        client.songs().await.unwrap();
        let client =
            builder(address.clone()).with_root_certificate_pem(root).with_root_certificate_pem(unrelated.clone());
        client.build().unwrap().songs().await.unwrap();

        let error = builder(address).with_root_certificate_pem(unrelated).build().unwrap().songs().await.unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error:?}");
    }
}

#[test]
fn invalid_certificates_are_rejected() {
    let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    for pem in ["", "garbage", "-----BEGIN CERTIFICATE-----\nMIIB", empty] {
        let error = builder("https://localhost".to_owned()).with_root_certificate_pem(pem).build().unwrap_err();
        assert!(matches!(error, Error::Setup(_)), "{pem:?}: {error:?}");
    }
}
