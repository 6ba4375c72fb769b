//! Figures when something is away.

use std::sync::atomic::Ordering;

use super::support::Service;

#[tokio::test]
async fn a_queue_that_is_away_takes_only_the_figures_of_jobs_with_it() {
    let service = Service::new();
    service.song(b"a song").await;
    let figures = async || {
        let answer = service.ask("GET", "/metrics", "", "").await;
        assert_eq!(answer.status, 200);
        answer.text()
    };
    let has = |text: &str, line: &str| text.lines().any(|found| found == line);
    let oldest = |text: &str| text.lines().any(|line| line.starts_with("vocalizer_oldest_job_seconds"));
    for _ in 0..2 {
        let text = figures().await;
        assert!(has(&text, "vocalizer_queue_up 1") && has(&text, "vocalizer_jobs{state=\"waiting\"} 1"), "{text}");
        assert!(oldest(&text), "{text}");
        assert!(has(&text, "vocalizer_songs{status=\"UPLOADED\"} 1") && text.ends_with("# EOF\n"), "{text}");

        service.queue.0.away.store(true, Ordering::SeqCst);
        let text = figures().await;
        assert!(has(&text, "vocalizer_queue_up 0") && !text.contains("vocalizer_jobs{") && !oldest(&text), "{text}");
        assert!(has(&text, "vocalizer_songs{status=\"UPLOADED\"} 1") && text.ends_with("# EOF\n"), "{text}");
        service.queue.0.away.store(false, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn waiting_for_a_job_is_counted_and_is_no_slow_answer() {
    let service = Service::new();
    service.post("/jobs/lease", "wait_s=0").await.data();
    let text = service.ask("GET", "/metrics", "", "").await.text();
    assert!(text.contains("vocalizer_http_requests_total{operation=\"lease_job\",status=\"200\"} 1"), "{text}");
    assert!(!text.contains("vocalizer_http_answer_seconds_count{operation=\"lease_job\"}"), "{text}");
}
