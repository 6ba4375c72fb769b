use std::fs;
use std::net::TcpListener;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::JobQueue;
use vocalizer_queue::{AmqpError, AmqpSettings};

use super::broker::Broker;
use super::support::{job, leased, queue};

/// Creates a private CA and a certificate for a broker of this name. Returns the CA's file.
fn certificates(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("authority.pem"), authority.pem()).unwrap();
    folder.join("authority.pem")
}

/// Starts a broker with TLS; returns it and its TLS port.
fn encrypted(folder: &Path) -> (Broker, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| folder.join(name).display().to_string();
    let broker = Broker::start(&[
        &format!("listeners.ssl.1=127.0.0.1:{port}"),
        &format!("ssl_options.cacertfile={}", file("authority.pem")),
        &format!("ssl_options.certfile={}", file("certificate.pem")),
        &format!("ssl_options.keyfile={}", file("key.pem")),
    ]);
    (broker, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_is_trusted_through_the_ca_file_only() {
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let authority = certificates(ours.path(), "localhost");
    let other = certificates(theirs.path(), "localhost");
    let (_broker, port) = encrypted(ours.path());
    let settings = |host: &str| AmqpSettings::new(&format!("amqps://guest:guest@{host}:{port}")).unwrap();

    let trusting = queue(settings("localhost").with_ca_file(&authority));
    trusting.publish(job("a")).await.unwrap();
    leased(&trusting, "a").await.acknowledge().await.unwrap();

    for untrusted in [
        settings("localhost"),
        settings("localhost").with_ca_file(&other),
        // The certificate is for another name.
        settings("127.0.0.1").with_ca_file(&authority),
    ] {
        let error = queue(untrusted).check().await.unwrap_err();
        assert!(matches!(error, AmqpError::Unreachable { .. }), "{}", chain(&error));
        assert!(chain(&error).contains("certificate"), "{}", chain(&error));
    }
}
