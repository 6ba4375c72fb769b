//! Traces: which are recorded, and their export. Configured by the standard variables of OpenTelemetry.

#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod span_fields;

use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;
use vocalizer_core::trace::Sampling;

use super::error::{ConfigError, invalid};

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
#[cfg(feature = "otlp")]
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
#[cfg(feature = "otlp")]
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// The traces of this process. Dropping it exports the remaining spans, within a bounded time.
pub(super) struct Traces {
    /// Which traces are recorded.
    pub(super) sampling: Sampling,
    #[cfg(feature = "otlp")]
    exporter: Option<export::Exporter>,
}

impl Traces {
    /// Reads the variables. `name` is the default of `service.name`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a value that is invalid or not supported. Without an endpoint, the variables do not matter.
    pub(super) fn from_env(name: &'static str) -> Result<Self, ConfigError> {
        let exporter = variable(EXPORTER).unwrap_or_else(|| "otlp".to_owned());
        let is_on = variable("OTEL_SDK_DISABLED").is_none_or(|value| !value.eq_ignore_ascii_case("true"))
            && exporter != "none"
            && ENDPOINTS.iter().any(|name| variable(name).is_some());
        if !is_on {
            return Ok(Self::off());
        }
        #[cfg(feature = "otlp")]
        {
            if exporter != "otlp" {
                return Err(invalid(EXPORTER, "expected `otlp` or `none`"));
            }
            let sampling = sampling(variable(SAMPLER).as_deref(), variable(ARGUMENT).as_deref())?;
            Ok(Self { sampling, exporter: Some(export::Exporter::from_env(name)?) })
        }
        #[cfg(not(feature = "otlp"))]
        {
            let _ = name;
            Err(invalid(ENDPOINTS[1], "this build cannot export traces; build with `--features otlp`"))
        }
    }

    /// Returns traces that are only passed on and logged.
    fn off() -> Self {
        Self {
            sampling: Sampling::default(),
            #[cfg(feature = "otlp")]
            exporter: None,
        }
    }

    /// Returns the layer that exports spans, if any.
    pub(super) fn layer<S>(&self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        #[cfg(feature = "otlp")]
        {
            self.exporter.as_ref().map(export::Exporter::layer)
        }
        #[cfg(not(feature = "otlp"))]
        {
            None
        }
    }
}

/// Returns a variable. Empty ones are as good as unset, by the specification of OpenTelemetry.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Parses a sampler by its standard name.
#[cfg(feature = "otlp")]
fn sampling(name: Option<&str>, argument: Option<&str>) -> Result<Sampling, ConfigError> {
    const KNOWN: &str = "give always_on, always_off, traceidratio, or one of these with parentbased_ in front";
    let name = name.unwrap_or("parentbased_always_on");
    let (follows_parent, own) = match name.strip_prefix("parentbased_") {
        Some(own) => (true, own),
        None => (false, name),
    };
    let share = match own {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let share = argument.map_or(Some(1.0), |argument| argument.parse().ok());
            let share = share.filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| invalid(ARGUMENT, "give a number from 0 to 1"))?
        }
        _ => return Err(invalid(SAMPLER, KNOWN)),
    };
    Ok(Sampling { share, follows_parent })
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;

    #[test]
    fn samplers_have_their_standard_names() {
        let is = |name, argument, share, follows_parent| {
            assert_eq!(sampling(name, argument).unwrap(), Sampling { share, follows_parent }, "{name:?}");
        };
        is(None, None, 1.0, true);
        is(Some("always_off"), None, 0.0, false);
        is(Some("traceidratio"), Some("0.25"), 0.25, false);
        is(Some("parentbased_traceidratio"), None, 1.0, true);
        for (name, argument) in [("jaeger_remote", None), ("traceidratio", Some("2")), ("traceidratio", Some("NaN"))] {
            assert!(sampling(Some(name), argument).is_err(), "{name}");
        }
    }
}
