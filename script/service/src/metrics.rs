//! The Prometheus recorder. A process serves [`Handle::render`] at `/metrics` of its own HTTP door.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

pub use metrics_exporter_prometheus::PrometheusHandle as Handle;

/// Bucket bounds for durations in seconds, 100 µs to 60 s; names of such histograms end in `_seconds`.
pub const SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0,
];

/// Installs the recorder behind the `metrics` macros. `extra` gives bucket bounds for the histograms that are no
/// durations, by full name.
///
/// # Errors
/// When a recorder is installed already or a list of bounds is empty.
pub fn install(extra: &[(&str, &[f64])]) -> Result<Handle, BuildError> {
    let mut builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?;
    for (name, bounds) in extra {
        builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)?;
    }
    builder.install_recorder()
}
