use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use serde_json::{Value, json};

mod decode;
mod fill_to_order;
mod memory;
mod react;
mod scan;

pub use react::React;

/// The figures, in the order in which they are measured.
const NAMES: [&str; 4] = ["decode_latency", "scan_rate", "memory", "fill_to_order_latency"];

/// `exchanges bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Only those whose name contains it: decode_latency, fill_to_order_latency, scan_rate, memory.
    name: Option<String>,
    /// One JSON object per figure and line.
    #[arg(long)]
    json: bool,
}

/// Symbols of `scan_rate` and `memory`: of each venue.
const SYMBOLS: usize = 300;

/// One measured figure. Parameters are what was chosen, never what was measured: a line is found again by them.
struct Figure {
    name: &'static str,
    value: Value,
    unit: &'static str,
    parameters: BTreeMap<&'static str, Value>,
}

impl Figure {
    fn new<const N: usize>(
        name: &'static str,
        value: impl Into<Value>,
        unit: &'static str,
        parameters: [(&'static str, Value); N],
    ) -> Self {
        Self {
            name,
            value: value.into(),
            unit,
            parameters: parameters.into(),
        }
    }

    fn print(&self, as_json: bool) {
        if as_json {
            println!(
                "{}",
                json!({ "figure": self.name, "value": self.value, "unit": self.unit, "parameters": self.parameters })
            );
        } else {
            let text = |value: &Value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), ToOwned::to_owned)
            };
            let parameters: Vec<String> = self
                .parameters
                .iter()
                .map(|(name, value)| format!("{name} {}", text(value)))
                .collect();
            println!(
                "{:<24} {:>12} {:<10} {}",
                self.name,
                text(&self.value),
                self.unit,
                parameters.join(", ")
            );
        }
    }
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.name
            .as_ref()
            .is_none_or(|wanted| name.contains(wanted.as_str()))
    }

    /// Measures and prints. On one thread: the simulators' own hops between threads would be counted as everybody's.
    ///
    /// # Errors
    /// When no figure has such a name, or one cannot be measured: no ccxt, no node.
    pub fn run(self) -> anyhow::Result<()> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.measure())
    }

    async fn measure(self) -> anyhow::Result<()> {
        ensure!(
            NAMES.iter().any(|name| self.wants(name)),
            "no figure's name contains {:?}; there are {}",
            self.name.as_deref().unwrap_or_default(),
            NAMES.join(", ")
        );
        for name in NAMES.into_iter().filter(|name| self.wants(name)) {
            let figures = match name {
                "decode_latency" => decode::measure()?,
                "scan_rate" => scan::measure()?,
                "memory" => memory::measure().await?,
                _ => fill_to_order::measure().await?,
            };
            figures.iter().for_each(|figure| figure.print(self.json));
        }
        Ok(())
    }
}

/// The percentiles that are told: half of all are no longer than the first, 99 of 100 than the second.
const PERCENTILES: [(&str, usize); 2] = [("p50", 50), ("p99", 99)];

/// The smallest of sorted times that so many percent of all do not exceed; none of no times. `percent` from 1 to 100.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A ratio with two decimals, as text; floats are for nothing here.
fn ratio(larger: u64, smaller: u64) -> String {
    let hundredths = u128::from(larger) * 100 / u128::from(smaller.max(1));
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        bench: Bench,
    }

    fn bench(arguments: &[&str]) -> Bench {
        Arguments::try_parse_from([&["bench"], arguments].concat())
            .unwrap()
            .bench
    }

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&hundred, 100), Some(100));
        assert_eq!(percentile(&hundred, 1), Some(1));
        // Of few times the slowest is in the last percent.
        assert_eq!(percentile(&[1, 2, 3], 99), Some(3));
        assert_eq!(percentile(&[1, 2, 3], 50), Some(2));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn ratios_are_cut_off_and_never_rounded_up() {
        assert_eq!(ratio(1_000, 300), "3.33");
        assert_eq!(ratio(7_999, 1_000), "7.99");
        assert_eq!(ratio(5, 100), "0.05");
        assert_eq!(ratio(5, 0), "5.00");
    }

    #[test]
    fn a_part_of_a_name_chooses_and_nothing_chooses_all() {
        let chosen = |arguments: &[&str]| -> Vec<&str> {
            let bench = bench(arguments);
            NAMES.into_iter().filter(|name| bench.wants(name)).collect()
        };
        assert_eq!(chosen(&[]), NAMES);
        assert_eq!(chosen(&["latency"]), ["decode_latency", "fill_to_order_latency"]);
        assert_eq!(chosen(&["memory", "--json"]), ["memory"]);
        assert!(bench(&["--json"]).json);
    }

    #[test]
    fn a_name_there_is_not_is_refused_with_those_there_are() {
        let error = bench(&["latencies"]).run().unwrap_err().to_string();
        assert!(
            error.contains("latencies") && error.contains("decode_latency"),
            "{error}"
        );
    }
}
