//! Allowed host names.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncWriteExt as _, duplex};
use vocalizer_http::settings::{AllowedHosts, HttpSettings};

use super::support::{Answer, Service, worker};

/// Sends a raw request head.
async fn send_head(service: &Service, head: &str) -> Answer {
    let (mut client, server) = duplex(64 * 1024);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let exchange = async {
        client.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        Answer::read(&mut client).await
    };
    let (served, answer) = tokio::join!(service.server.serve(server, peer), exchange);
    served.unwrap();
    answer
}

async fn get_with_host(service: &Service, path: &str, host: &str, more: &str) -> Answer {
    send_head(service, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}")).await
}

fn service_allowing(allowed_hosts: AllowedHosts) -> Service {
    Service::with_settings(HttpSettings { allowed_hosts, ..HttpSettings::default() })
}

#[tokio::test]
async fn dns_rebinding_is_refused() {
    let service = service_allowing(AllowedHosts::Loopback);
    for host in [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "a.localhost:1",
        "127.0.0.1:8000",
        "127.9.9.9",
        "[::1]:8000",
        "[::1]",
    ] {
        get_with_host(&service, "/songs/", host, "").await.data();
    }
    for host in [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "notlocalhost",
        "192.168.0.1",
        "[::2]",
        "0.0.0.0",
    ] {
        for path in ["/songs/", "/limits", "/metrics", "/openapi.json", "/", "/no/such/file"] {
            get_with_host(&service, path, host, &format!("Origin: http://{host}\r\n")).await.assert_error(
                421,
                "wrong_host",
                None,
            );
        }
    }
    let foreign = send_head(&service, "GET http://evil.example/songs/ HTTP/1.1\r\nHost: localhost\r\n").await;
    foreign.assert_error(421, "wrong_host", None);
    // Probes use IP addresses, and browsers do not have worker tokens.
    assert_eq!(get_with_host(&service, "/livez", "10.0.0.7:8000", "").await.status, 200);
    let path = format!("/songs/{}/source", "ab".repeat(32));
    get_with_host(&service, &path, "server:8000", &worker()).await.assert_error(404, "not_found", None);
}

#[tokio::test]
async fn only_listed_hosts_are_allowed() {
    let names = ["songs.example.org", ".example.net"].map(str::to_owned).to_vec();
    let service = service_allowing(AllowedHosts::Named(names));
    for host in ["songs.example.org", "Songs.Example.Org:8443", "a.example.net", "a.b.example.net:1", "localhost:8000"]
    {
        get_with_host(&service, "/songs/", host, "").await.data();
    }
    for host in ["example.org", "a.songs.example.org", "example.net", ".example.net", "badexample.net", "10.0.0.1"] {
        get_with_host(&service, "/songs/", host, "").await.assert_error(421, "wrong_host", None);
    }
}

#[tokio::test]
async fn host_header_must_occur_once() {
    let service = service_allowing(AllowedHosts::Any);
    for head in [
        "GET /songs/ HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n",
        "GET /songs/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET /songs/ HTTP/1.0\r\nHost: a\r\nHost: b\r\n",
        "GET /songs/ HTTP/1.1\r\nHost:\r\n",
        "GET /songs/ HTTP/1.1\r\nHost: user@a\r\n",
        "GET /songs/ HTTP/1.1\r\nHost: a b\r\n",
        "GET /songs/ HTTP/1.1\r\nHost: a/b\r\n",
        "GET /songs/ HTTP/1.1\r\nHost: [::1\r\n",
    ] {
        send_head(&service, head).await.assert_error(400, "malformed", None);
    }
    for head in ["GET /songs/ HTTP/1.0\r\n", "GET /songs/ HTTP/1.1\r\nHost: anything.example\r\n"] {
        send_head(&service, head).await.data();
    }
}
