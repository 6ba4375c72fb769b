//! Traces from an upload through the queue to a worker and back, as a collector gets them.

use std::time::Duration;

use vocalizer_client::{Client, Upload};

use super::broker::Broker;
use super::collector::{Collector, Exported};
use super::place::Place;
use crate::support::{Browser, WORKER_TOKEN, song};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// OpenTelemetry's number of a span's kind, in this order from 1.
const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn one_trace_from_upload_to_result(broker: Option<Broker>) {
    let collector = Collector::start().await;
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=4f1c")];
    let place = Place::with_variables(broker, &variables).await;
    let worker = place.worker("worker", Duration::ZERO, Duration::from_secs(60));
    let client = Client::builder(format!("http://{}", place.address));
    let client = client.with_traceparent(|| Some(CALLER.to_owned())).build().unwrap();
    let uploaded = client.upload(Upload::from_bytes("x", "x.wav", song(1))).await.unwrap();
    client.wait(uploaded.id).await.unwrap();
    // Both logs have the trace, and both programs export the last spans when they stop.
    let worker_log = worker.log();
    assert!(worker.terminate().await.0.success());
    let (server_log, status) = place.stop().await;
    assert!(status.success());
    for log in [&worker_log, &server_log] {
        assert!(log.contains(&format!("trace_id={TRACE_ID}")), "{log}");
        assert!(!log.contains("exporting traces failed"), "{log}");
    }
    assert!(
        collector
            .heads()
            .iter()
            .all(|head| head.starts_with("POST /v1/traces HTTP/1.1") && head.contains("x-key: 4f1c"))
    );

    let (ours, others): (Vec<_>, Vec<_>) =
        collector.spans().into_iter().partition(|exported| hex(&exported.span.trace_id) == TRACE_ID);
    let find = |service: &str, name: &str, kind: &str| -> Exported {
        let is_it = |one: &&Exported| one.service == service && one.span.name == name;
        let found = ours.iter().find(is_it).unwrap_or_else(|| panic!("{service} has no span {name}: {ours:#?}"));
        assert_eq!(KINDS[usize::try_from(found.span.kind).unwrap() - 1], kind, "{name}");
        found.clone()
    };
    let upload = find("vocalizer", "POST /songs/upload", "server");
    assert_eq!(hex(&upload.span.parent_span_id), "b7ad6b7169203331");
    let store = find("vocalizer", "store", "internal");
    let publish = find("vocalizer", "publish", "producer");
    let wait = find("vocalizer-worker", "wait", "internal");
    let lease = find("vocalizer-worker", "lease", "consumer");
    let split = find("vocalizer-worker", "split", "internal");
    let deliver = find("vocalizer-worker", "deliver", "client");
    let begin = find("vocalizer", "POST /songs/{hash}/begin", "server");
    let result = find("vocalizer", "POST /songs/{hash}/upload_result", "server");
    for (child, parent) in [
        (&store, &upload),
        (&publish, &store),
        (&wait, &publish),
        (&lease, &publish),
        (&split, &lease),
        (&deliver, &lease),
        (&begin, &lease),
        (&result, &deliver),
    ] {
        assert_eq!(child.span.parent_span_id, parent.span.span_id, "{} in {}", child.span.name, parent.span.name);
        assert!(child.span.start_time_unix_nano <= child.span.end_time_unix_nano);
    }
    assert_eq!(upload.attribute("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(upload.attribute("http.route").as_deref(), Some("/songs/upload"));
    assert_eq!(publish.attribute("messaging.message.id"), Some(uploaded.hash.clone()));
    assert_eq!(lease.attribute("messaging.message.id"), Some(uploaded.hash.clone()));
    assert!(others.iter().all(|other| !other.span.name.ends_with("upload_result")), "{others:#?}");
    let all = format!("{ours:?}{others:?}");
    assert!(!all.contains(WORKER_TOKEN), "a span contains the token of workers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_through_sqlite_and_back() {
    one_trace_from_upload_to_result(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_through_rabbitmq_and_back() {
    one_trace_from_upload_to_result(Some(Broker::start(&[]))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_collector_costs_one_warning_and_no_request() {
    // Nothing listens on a port that was just freed.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let endpoint = format!("http://{free}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let mut place = Place::with_variables(None, &variables).await;
    let browser = place.browser();
    browser.upload("x", &song(1)).await;
    place.wait_for_log("exporting traces failed").await;
    for number in 0..10 {
        browser.upload("x", &song(number)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (log, status) = place.stop().await;
    assert!(status.success());
    assert_eq!(log.matches("exporting traces failed").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheme_is_the_one_that_a_trusted_proxy_reports() {
    for (trusted, expected) in [("127.0.0.1", ["http", "https"]), ("192.0.2.1", ["http", "http"])] {
        let collector = Collector::start().await;
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("TRUSTED_PROXIES", trusted),
        ];
        let place = Place::with_variables(None, &variables).await;
        let browser = place.browser();
        browser.get("/limits").await.data();
        let proxied = browser.request(reqwest::Method::GET, "/models").header("x-forwarded-proto", "https");
        Browser::send(proxied).await.data();
        assert!(place.stop().await.1.success());
        let spans = collector.spans();
        let scheme = |name: &str| spans.iter().find(|one| one.span.name == name).unwrap().attribute("url.scheme");
        assert_eq!([scheme("GET /limits"), scheme("GET /models")].map(Option::unwrap), expected);
    }
}

#[test]
fn invalid_settings_of_traces_are_refused() {
    for (variable, value, why) in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "always_on"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "milliseconds"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "`otlp` or `none`"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_vocalizer"))
            .env_clear()
            .args(["serve", "--no-worker", "--listen-addr", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path().join("data"))
            .envs([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"), (variable, value)])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(variable) && error.contains(why), "{error}");
    }
}
