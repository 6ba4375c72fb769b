//! The web page next to the API.

use vocalizer_http::page::PageFile;

use super::support::Service;

const MARKUP: &[u8] = b"<!doctype html><title>x</title><p>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

const FILES: &[PageFile] = &[
    PageFile { path: "/", media_type: "text/html; charset=utf-8", bytes: MARKUP },
    PageFile { path: "/web/x.js", media_type: "text/javascript", bytes: b"x" },
];

fn with_page() -> Service {
    let mut service = Service::new();
    service.server = service.server.with_page(FILES);
    service
}

#[tokio::test]
async fn page_has_strict_content_security_policy() {
    let service = with_page();
    let page = service.send("GET", "/", "", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(page.body, MARKUP);
    let policy = page.header("content-security-policy");
    for part in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.split("; ").any(|found| found == part), "{part} is not in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    // Responses of the API keep their own policy.
    let answer = service.send("GET", "/songs/", "", "").await;
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
}

#[tokio::test]
async fn page_supports_gzip_and_not_modified() {
    let service = with_page();
    let plain = service.send("GET", "/", "", "").await;
    for accepted in ["gzip", "br, gzip;q=0.5", "GZIP"] {
        let small = service.send("GET", "/", &format!("Accept-Encoding: {accepted}\r\n"), "").await;
        assert_eq!((small.status, small.header("content-encoding")), (200, "gzip"), "{accepted}");
        assert!(small.body.len() < MARKUP.len() && small.body.starts_with(&[0x1f, 0x8b]));
        assert_ne!(small.header("etag"), plain.header("etag"));
        assert_eq!(small.header("vary"), "Accept-Encoding");
        let known = format!("Accept-Encoding: {accepted}\r\nIf-None-Match: {}\r\n", small.header("etag"));
        let again = service.send("GET", "/", &known, "").await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    for refused in ["br", "gzip;q=0", "gzip; q=0.0", "identity"] {
        let answer = service.send("GET", "/", &format!("Accept-Encoding: {refused}\r\n"), "").await;
        assert_eq!((answer.header("content-encoding"), &answer.body[..]), ("", MARKUP), "{refused}");
    }
    let known = format!("If-None-Match: {}\r\n", plain.header("etag"));
    assert_eq!(service.send("GET", "/", &known, "").await.status, 304);
    assert_eq!(service.send("GET", "/web/x.js", &known, "").await.status, 200, "the tag belongs to another file");
}

#[tokio::test]
async fn page_allows_only_get_and_head_of_known_files() {
    let service = with_page();
    let head = service.send("HEAD", "/", "", "").await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, MARKUP.len().to_string().as_str(), 0)
    );
    let refused = service.send("POST", "/", "Content-Type: application/json\r\n", "{}").await;
    refused.assert_error(405, "method_not_allowed", None);
    assert_eq!(refused.header("allow"), "GET, HEAD");
    for path in ["/web/", "/web/y.js", "/web/../songs/", "/web/x.js/", "//"] {
        service.send("GET", path, "", "").await.assert_error(404, "not_found", None);
    }
    Service::new().send("GET", "/", "", "").await.assert_error(404, "not_found", None);
}
