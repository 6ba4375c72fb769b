//! Makes spans of traces from spans of the log.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use vocalizer_core::trace::{Kind, NewSpan, TraceContext, new_span};

/// Gives spans of recorded traces to the exporter when they end.
pub(super) struct ExportLayer {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

impl ExportLayer {
    pub(super) fn new(processor: Arc<BatchSpanProcessor>, scope: InstrumentationScope) -> Self {
        Self { processor, scope }
    }

    fn begin(&self, new: NewSpan, own_name: &'static str) -> SpanData {
        let NewSpan { context, parent, kind, name, began, attributes } = new;
        let now = SystemTime::now();
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(context.trace_id().get()),
                span_id(&context),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: parent.as_ref().map_or(SpanId::INVALID, span_id),
            parent_span_is_remote: parent.is_some() && matches!(kind, Kind::Server | Kind::Consumer),
            span_kind: match kind {
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
                Kind::Producer => SpanKind::Producer,
                Kind::Consumer => SpanKind::Consumer,
                Kind::Internal => SpanKind::Internal,
            },
            name: name.map_or(Cow::Borrowed(own_name), Cow::Owned),
            // A clock of another machine may be ahead.
            start_time: began.map_or(now, |began| began.min(now)),
            end_time: now,
            attributes: attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn span_id(context: &TraceContext) -> SpanId {
    SpanId::from(context.span_id())
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ExportLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(new) = new_span().filter(|new| new.context.is_sampled()) else { return };
        let Some(span) = context.span(id) else { return };
        let mut data = self.begin(new, attributes.metadata().name());
        attributes.record(&mut Fields(&mut data));
        span.extensions_mut().insert(data);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(data) = span.extensions_mut().get_mut::<SpanData>()
        {
            values.record(&mut Fields(data));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let data = context.span(&id).and_then(|span| span.extensions_mut().remove::<SpanData>());
        if let Some(data) = data {
            self.processor.on_end(SpanData { end_time: SystemTime::now(), ..data });
        }
    }
}

/// Takes the fields that are known to hold no secret.
struct Fields<'a>(&'a mut SpanData);

/// Returns the attribute of a field, by OpenTelemetry's semantic conventions where they have one.
fn attribute(field: &str) -> Option<&'static str> {
    Some(match field {
        "id" => "vocalizer.request.id",
        "method" => "http.request.method",
        "operation" => "vocalizer.operation",
        "status" => "http.response.status_code",
        "hash" => "messaging.message.id",
        "model" => "vocalizer.model",
        "attempt" => "vocalizer.attempt",
        "size_bytes" => "vocalizer.song.size",
        "delivery" => "vocalizer.webhook.delivery",
        _ => return None,
    })
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        if let Some(name) = attribute(field.name()) {
            self.0.attributes.push(KeyValue::new(name, value));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "status" && value >= 500 {
            self.0.status = Status::error("");
        }
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_i64(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "error" => self.0.status = Status::error(value.to_owned()),
            _ => self.add(field, value.to_owned()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if attribute(field.name()).is_some() {
            self.add(field, format!("{value:?}"));
        }
    }
}
