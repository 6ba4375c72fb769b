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

#[tokio::test]
async fn models_are_counted_by_the_operators_list() {
    let service = Service::new();
    let (hash, _) = service.song(b"a song").await;
    let has = async |lines: &[&str]| {
        let text = service.send("GET", "/metrics", "", "").await.text();
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "no {line} in {text}");
        }
        text
    };
    has(&[
        "vocalizer_waiting_songs{model=\"htdemucs\"} 1",
        "vocalizer_waiting_owners 1",
        "vocalizer_model_has_worker{model=\"htdemucs\"} 0",
        "vocalizer_model_failures_total{model=\"htdemucs\"} 0",
        "vocalizer_share_links 0",
        "vocalizer_resumable_uploads_total{result=\"finished\"} 0",
    ])
    .await;
    // A worker that names another model adds no label.
    service.post("/jobs/lease", "wait_s=0&models=htdemucs,made-up").await.data();
    service.post(&format!("/songs/{hash}/begin"), "").await.data();
    service.post(&format!("/songs/{hash}/fail"), "reason=broken").await.data();
    let text = has(&[
        "vocalizer_waiting_songs{model=\"htdemucs\"} 0",
        "vocalizer_waiting_owners 0",
        "vocalizer_model_has_worker{model=\"htdemucs\"} 1",
        "vocalizer_model_failures_total{model=\"htdemucs\"} 1",
        "vocalizer_model_splits_total{model=\"htdemucs\"} 0",
    ])
    .await;
    assert!(!text.contains("made-up"), "{text}");
}
