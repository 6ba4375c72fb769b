//! Metrics while a dependency is unavailable.

use std::sync::atomic::Ordering;

use super::support::Service;

#[tokio::test]
async fn unavailable_queue_only_omits_job_metrics() {
    let service = Service::new();
    service.song(b"a song").await;
    let metrics = async || {
        let answer = service.send("GET", "/metrics", "", "").await;
        assert_eq!(answer.status, 200);
        answer.text()
    };
    let has = |text: &str, line: &str| text.lines().any(|found| found == line);
    let oldest = |text: &str| text.lines().any(|line| line.starts_with("vocalizer_oldest_job_seconds"));
    for _ in 0..2 {
        let text = metrics().await;
        assert!(has(&text, "vocalizer_queue_up 1") && has(&text, "vocalizer_jobs{state=\"waiting\"} 1"), "{text}");
        assert!(oldest(&text), "{text}");
        assert!(has(&text, "vocalizer_songs{status=\"UPLOADED\"} 1") && text.ends_with("# EOF\n"), "{text}");

        service.queue.0.unavailable.store(true, Ordering::SeqCst);
        let text = metrics().await;
        assert!(has(&text, "vocalizer_queue_up 0") && !text.contains("vocalizer_jobs{") && !oldest(&text), "{text}");
        assert!(has(&text, "vocalizer_songs{status=\"UPLOADED\"} 1") && text.ends_with("# EOF\n"), "{text}");
        service.queue.0.unavailable.store(false, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn lease_wait_is_not_in_latency_histogram() {
    let service = Service::new();
    service.post("/jobs/lease", "wait_s=0").await.data();
    let text = service.send("GET", "/metrics", "", "").await.text();
    assert!(text.contains("vocalizer_http_requests_total{operation=\"lease_job\",status=\"200\"} 1"), "{text}");
    assert!(!text.contains("vocalizer_http_answer_seconds_count{operation=\"lease_job\"}"), "{text}");
}
