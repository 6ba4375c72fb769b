//! Prometheus metrics.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, EncodeMetric as _, LabelSetEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::time::timeout;
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Backlog, Census, JobQueue, QueueError};
use vocalizer_core::service::{ModelCounts, RenderingCounts, ServiceError, SongService, UploadCounts, WebhookAttempts};
use vocalizer_core::song::StatusKind;

/// Timeout for the queue depth. Scrapes time out after ten seconds.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The content type of the text that `prometheus-client` writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A metric that a program adds. Names are without the prefix `vocalizer_`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// Facts about the program, such as its device, as labels.
    Info {
        /// The metric's name.
        name: &'static str,
        /// What the facts are.
        help: &'static str,
        /// The names and values of the facts.
        labels: Vec<(&'static str, String)>,
    },
    /// Counters that differ in one label.
    Counters {
        /// The metric's name, without `_total`.
        name: &'static str,
        /// What is counted.
        help: &'static str,
        /// The label's name.
        label: &'static str,
        /// The counts by the label's value.
        counts: Vec<(Cow<'static, str>, u64)>,
    },
    /// A total of time.
    Seconds {
        /// The metric's name, without `_seconds_total`.
        name: &'static str,
        /// What took the time.
        help: &'static str,
        /// The total so far.
        total: Duration,
    },
}

/// A source of metrics, such as a worker.
pub trait MoreMetrics: Send + Sync {
    /// Returns the metrics for one scrape.
    fn metrics(&self) -> Vec<Metric>;
}

/// Makes a source's metrics part of the registry.
struct Collected(Arc<dyn MoreMetrics>);

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected").finish_non_exhaustive()
    }
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in self.0.metrics() {
            match metric {
                Metric::Info { name, help, labels } => {
                    encoder.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)?;
                }
                Metric::Counters { name, help, label, counts } => {
                    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
                    for (value, count) in counts {
                        ConstCounter::new(count).encode(family.encode_family(&[(label, &*value)])?)?;
                    }
                }
                Metric::Seconds { name, help, total } => {
                    let unit = Some(&Unit::Seconds);
                    let metric = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
                    ConstCounter::new(total.as_secs_f64()).encode(metric)?;
                }
            }
        }
        Ok(())
    }
}

/// The attempts to deliver to webhooks.
pub(crate) struct WebhookMetrics(pub(crate) SongService);

impl MoreMetrics for WebhookMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let WebhookAttempts { delivered, failed } = self.0.webhook_attempts();
        vec![Metric::Counters {
            name: "webhook_attempts",
            help: "Attempts of this server to deliver to webhooks, by result: ok or failed",
            label: "result",
            counts: vec![("ok".into(), delivered), ("failed".into(), failed)],
        }]
    }
}

/// The work for each model, and what became of resumable uploads. Labels are the operator's models only.
pub(crate) struct WorkMetrics(pub(crate) SongService);

impl MoreMetrics for WorkMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let models = self.0.model_counts();
        let by_model = |count: fn(&ModelCounts) -> u64| {
            models.iter().map(|(name, counts)| (name.to_string().into(), count(counts))).collect()
        };
        let UploadCounts { finished, expired, expired_bytes } = self.0.upload_counts();
        vec![
            Metric::Counters {
                name: "model_splits",
                help: "Results that this server stored, by model",
                label: "model",
                counts: by_model(|counts| counts.splits),
            },
            Metric::Counters {
                name: "model_failures",
                help: "Jobs that this server gave up, by model",
                label: "model",
                counts: by_model(|counts| counts.failures),
            },
            Metric::Counters {
                name: "model_seconds",
                help: "How long the splits of these results took, by model",
                label: "model",
                counts: by_model(|counts| counts.busy.as_secs()),
            },
            Metric::Counters {
                name: "resumable_uploads",
                help: "Resumable uploads that ended on this server, by result: finished or expired",
                label: "result",
                counts: vec![("finished".into(), finished), ("expired".into(), expired)],
            },
            Metric::Counters {
                name: "resumable_upload_bytes",
                help: "Bytes of resumable uploads that this server deleted, by result: expired",
                label: "result",
                counts: vec![("expired".into(), expired_bytes)],
            },
        ]
    }
}

/// The labels of the request counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RequestLabels {
    operation: &'static str,
    status: u16,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("operation", self.operation).encode(encoder.encode_label())?;
        ("status", self.status.to_string()).encode(encoder.encode_label())
    }
}

/// A single label: name and value.
type Label = [(&'static str, &'static str); 1];

/// The label of a model.
type ModelLabel = [(&'static str, String); 1];

/// A gauge without labels. It is a family so that it can be omitted.
type Unlabelled = Family<[(&'static str, &'static str); 0], Gauge>;

pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<Label, Histogram, fn() -> Histogram>,
    uploaded_bytes: Counter,
    songs: Family<Label, Gauge>,
    jobs: Family<Label, Gauge>,
    oldest_job: Unlabelled,
    queue_up: Gauge,
    outbox: Gauge,
    connections: Gauge,
    renderings: Family<Label, Gauge>,
    rendition_bytes: Gauge,
    disabled_webhooks: Unlabelled,
    oldest_delivery: Unlabelled,
    pending_deliveries: Unlabelled,
    unfinished_bytes: Gauge,
    unfinished_uploads: Gauge,
    waiting_songs: Family<ModelLabel, Gauge>,
    waiting_owners: Gauge,
    models: Family<ModelLabel, Gauge>,
    shares: Gauge,
    trashed: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = registry();
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests completed", requests.clone());
        let seconds =
            Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.001, 4.0, 9))) as fn() -> Histogram);
        let help = "Time until the response headers are sent";
        registry.register_with_unit("http_answer", help, Unit::Seconds, seconds.clone());
        let uploaded_bytes = Counter::default();
        registry.register_with_unit("uploaded", "Bytes of uploaded songs", Unit::Bytes, uploaded_bytes.clone());
        let (songs, jobs) = (Family::default(), Family::default());
        registry.register("songs", "Songs by status", songs.clone());
        registry.register("jobs", "Jobs by state", jobs.clone());
        let oldest_job = Family::default();
        let (queue_up, outbox, connections) = (Gauge::default(), Gauge::default(), Gauge::default());
        let help = "Whether the queue is available (0 or 1); if 0, the job metrics are omitted";
        registry.register("queue_up", help, queue_up.clone());
        let help = "Age of the oldest waiting job";
        registry.register_with_unit("oldest_job", help, Unit::Seconds, oldest_job.clone());
        registry.register("outbox", "Jobs in the outbox that are not queued yet, at most 1000", outbox.clone());
        registry.register("http_connections", "Open HTTP connections", connections.clone());
        let (renderings, rendition_bytes) = (Family::default(), Gauge::default());
        registry.register("renderings", "Renderings by state: running or waiting", renderings.clone());
        let help = "Bytes of cached renditions and of mixes being downloaded";
        registry.register_with_unit("rendition", help, Unit::Bytes, rendition_bytes.clone());
        let (unfinished_uploads, unfinished_bytes) = (Gauge::default(), Gauge::default());
        registry.register("unfinished_uploads", "Unfinished resumable uploads", unfinished_uploads.clone());
        let help = "Declared bytes of unfinished resumable uploads";
        registry.register_with_unit("unfinished_upload", help, Unit::Bytes, unfinished_bytes.clone());
        let (pending_deliveries, oldest_delivery, disabled_webhooks) =
            <(Unlabelled, Unlabelled, Unlabelled)>::default();
        registry.register("webhook_pending", "Deliveries to webhooks that are pending", pending_deliveries.clone());
        let help = "Age of the oldest pending delivery to a webhook; receivers that fail are tried for a day";
        registry.register_with_unit("webhook_oldest_pending", help, Unit::Seconds, oldest_delivery.clone());
        let help = "Webhooks that were disabled after repeated failure";
        registry.register("webhooks_disabled", help, disabled_webhooks.clone());
        let (waiting_songs, models) = <(Family<ModelLabel, Gauge>, Family<ModelLabel, Gauge>)>::default();
        let (waiting_owners, shares, trashed) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("waiting_songs", "Songs that wait for a worker, by model", waiting_songs.clone());
        let help = "Users with songs that wait for a worker; anonymous songs count as one user's";
        registry.register("waiting_owners", help, waiting_owners.clone());
        let help = "Whether a worker for the model was there within two minutes (0 or 1)";
        registry.register("model_has_worker", help, models.clone());
        registry.register("share_links", "Share links, including those that have just expired", shares.clone());
        registry.register("songs_in_trash", "Deleted songs that can be restored", trashed.clone());
        Self {
            registry,
            requests,
            seconds,
            uploaded_bytes,
            songs,
            jobs,
            oldest_job,
            queue_up,
            outbox,
            connections,
            renderings,
            rendition_bytes,
            disabled_webhooks,
            oldest_delivery,
            pending_deliveries,
            unfinished_bytes,
            unfinished_uploads,
            waiting_songs,
            waiting_owners,
            models,
            shares,
            trashed,
        }
    }

    /// Counts a response, and observes the time until its headers if that says something about the server.
    pub(crate) fn answered(&self, operation: &'static str, status: u16, took: Option<Duration>) {
        self.requests.get_or_create(&RequestLabels { operation, status }).inc();
        if let Some(took) = took {
            self.seconds.get_or_create(&[("operation", operation)]).observe(took.as_secs_f64());
        }
    }

    pub(crate) fn uploaded(&self, bytes: u64) {
        self.uploaded_bytes.inc_by(bytes);
    }

    pub(crate) fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }

    /// Reads the current state of the service.
    pub(crate) async fn read(&self, songs: &SongService) -> Result<(), ServiceError> {
        for (kind, count) in StatusKind::ALL.into_iter().zip(songs.repository().count().await?) {
            self.songs.get_or_create(&[("status", kind.name())]).set(gauge(count));
        }
        self.write_jobs(songs.queue().as_ref()).await;
        self.outbox.set(gauge(songs.repository().pending(1000).await?.len() as u64));
        let RenderingCounts { running, waiting, bytes } = songs.renderings();
        for (state, count) in [("running", running), ("waiting", waiting)] {
            self.renderings.get_or_create(&[("state", state)]).set(gauge(count as u64));
        }
        self.rendition_bytes.set(gauge(bytes));
        self.read_census(songs).await?;
        let unfinished = songs.unfinished_uploads().await?;
        self.unfinished_uploads.set(gauge(unfinished.uploads));
        self.unfinished_bytes.set(gauge(unfinished.bytes));
        if let Some(webhooks) = songs.repository().webhooks() {
            let Backlog { pending, oldest, disabled } = webhooks.backlog().await?;
            self.pending_deliveries.get_or_create(&[]).set(gauge(pending));
            let age = oldest.map_or(0, |oldest| (songs.clock().now() - oldest).whole_seconds().max(0));
            self.oldest_delivery.get_or_create(&[]).set(age);
            self.disabled_webhooks.get_or_create(&[]).set(gauge(disabled));
        }
        Ok(())
    }

    /// Counts what waits, by the operator's models: songs for others, which fail soon, have no place here.
    async fn read_census(&self, songs: &SongService) -> Result<(), ServiceError> {
        let Census { waiting, waiting_owners, shares, trashed } = songs.repository().census().await?;
        let models = songs.models_with_workers().await;
        let default = models.first().map(|(name, _)| *name);
        for (name, has_worker) in models {
            let label = [("model", name.to_string())];
            let its = waiting.iter().filter(|(model, _)| model.or(default) == Some(name));
            self.waiting_songs.get_or_create(&label).set(gauge(its.map(|(_, count)| count).sum()));
            self.models.get_or_create(&label).set(i64::from(has_worker));
        }
        self.waiting_owners.set(gauge(waiting_owners));
        self.shares.set(gauge(shares));
        self.trashed.set(gauge(trashed));
        Ok(())
    }

    /// Writes the job metrics. An unavailable queue must not affect the other metrics.
    async fn write_jobs(&self, queue: &dyn JobQueue) {
        let result = timeout(QUEUE_TIMEOUT, queue.depth()).await;
        let depth = match result.unwrap_or_else(|elapsed| Err(QueueError::Unavailable(elapsed.into()))) {
            Ok(depth) => depth,
            Err(error) => {
                tracing::warn!(error = chain(&error), "queue depth unavailable");
                self.queue_up.set(0);
                self.jobs.clear();
                self.oldest_job.clear();
                return;
            }
        };
        self.queue_up.set(1);
        for (state, count) in [("waiting", Some(depth.waiting)), ("leased", depth.leased), ("dead", Some(depth.dead))] {
            if let Some(count) = count {
                self.jobs.get_or_create(&[("state", state)]).set(gauge(count));
            }
        }
        self.oldest_job.get_or_create(&[]).set(gauge(depth.oldest.unwrap_or_default().as_secs()));
    }
}

/// Returns an empty registry. It prefixes all names.
pub(crate) fn registry() -> Registry {
    Registry::with_prefix("vocalizer")
}

/// Adds metrics of another part of the program.
pub(crate) fn add(registry: &mut Registry, metrics: Arc<dyn MoreMetrics>) {
    registry.register_collector(Box::new(Collected(metrics)));
}

/// Returns the metrics in the OpenMetrics text format.
pub(crate) fn text(registry: &Registry) -> String {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => text,
        Err(_) => "# EOF\n".to_owned(),
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Counts an open connection until it is dropped.
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
