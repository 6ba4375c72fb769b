//! Trace contexts of requests and their jobs.

use vocalizer_core::trace::TraceContext;

use super::support::Service;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Uploads a song with these header lines and returns the trace of its job.
async fn traced_upload(headers: &str) -> TraceContext {
    let service = Service::accepting_uploads(1000);
    let headers = format!("Content-Type: multipart/form-data; boundary=b\r\n{headers}");
    let body = "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.mp3\"\r\n\r\na song\r\n--b--\r\n";
    service.send("POST", "/songs/upload", &headers, body).await.data();
    let data = service.post("/jobs/lease", "wait_s=0").await.data();
    assert!(data["job"]["published_at_ms"].is_i64(), "{data}");
    data["job"]["traceparent"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn job_belongs_to_the_trace_of_its_upload() {
    let caller: TraceContext = CALLER.parse().unwrap();
    let job = traced_upload(&format!("Traceparent: {CALLER}\r\n")).await;
    assert_eq!(job.trace_id(), caller.trace_id());
    assert!(job.is_sampled());
    assert_ne!(job.span_id(), caller.span_id());
    let unsampled = traced_upload(&format!("traceparent: {}\r\n", CALLER.replace("-01", "-00"))).await;
    assert!(unsampled.trace_id() == caller.trace_id() && !unsampled.is_sampled());
}

#[tokio::test]
async fn upload_without_a_valid_trace_begins_one() {
    let caller: TraceContext = CALLER.parse().unwrap();
    let headers = [
        String::new(),
        format!("traceparent: {}\r\n", CALLER.to_uppercase()),
        format!("traceparent: {CALLER}-00\r\n"),
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n".to_owned(),
        "traceparent: \u{fc}\r\n".to_owned(),
        // Which of two is meant is unknown.
        format!("traceparent: {CALLER}\r\ntraceparent: {CALLER}\r\n"),
    ];
    for headers in headers {
        let job = traced_upload(&headers).await;
        assert!(job.trace_id() != caller.trace_id() && !job.is_sampled(), "{headers}");
    }
}
