//! What one can listen to.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use lockstep_indexer::model::StrategyId;

/// What one can listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// New and changed strategies.
    Strategies,
    /// NAV points, batches and signals of one strategy.
    Strategy(StrategyId),
    /// Fills and account states of one follower.
    Account(Address),
    /// What becomes of a relayed item.
    Relay(B256),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strategies => f.write_str("strategies"),
            Self::Strategy(id) => write!(f, "strategy:{id}"),
            Self::Account(address) => write!(f, "account:{address}"),
            Self::Relay(id) => write!(f, "relay:{id}"),
        }
    }
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let topic = match text.split_once(':') {
            None if text == "strategies" => Some(Self::Strategies),
            Some(("strategy", id)) if id.bytes().all(|byte| byte.is_ascii_digit()) => {
                id.parse().ok().map(Self::Strategy)
            }
            Some(("account", address)) if address.starts_with("0x") => {
                address.parse().ok().map(Self::Account)
            }
            Some(("relay", id)) if id.starts_with("0x") => id.parse().ok().map(Self::Relay),
            _ => None,
        };
        topic.ok_or_else(|| {
            format!("{text:?} is no topic: `strategies`, `strategy:{{id}}`, `account:{{address}}`, `relay:{{id}}`.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_round_trip() {
        for text in [
            "strategies",
            "strategy:7",
            "account:0x000000000022D473030F116dDEE9F6B43aC78BA3",
            "relay:0x9d2f1c4f6d1d0d9e2b7a6f3a8f0f1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b",
        ] {
            assert_eq!(text.parse::<Topic>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for text in [
            "",
            "strategy",
            "strategy:",
            "strategy:-1",
            "strategy:+1",
            "account:1",
            "relay:0x1",
            "news",
        ] {
            assert!(text.parse::<Topic>().is_err(), "{text}");
        }
    }
}
