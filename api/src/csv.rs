//! Fills as CSV (RFC 4180).

use crate::dto::batch::Fill;

const COLUMNS: [&str; 23] = [
    "time",
    "block",
    "finality",
    "transaction",
    "log_index",
    "strategy",
    "vault",
    "account",
    "cause",
    "batch",
    "outcome",
    "market",
    "size_delta_base",
    "quote_delta_usdc",
    "fee_usdc",
    "fill_price_usdc",
    "index_price_usdc",
    "slippage_bps",
    "notional_usdc",
    "position_base",
    "realised_usdc",
    "delay_ms",
    "id",
];

/// The first line.
#[must_use]
pub fn header() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// Appends a fill.
pub fn line(text: &mut String, fill: &Fill) {
    let fields = [
        fill.at.time.to_string(),
        fill.at.block.to_string(),
        kebab(&fill.at.finality),
        fill.at.transaction.to_string(),
        fill.at.log_index.to_string(),
        fill.strategy_id.clone(),
        fill.vault.to_string(),
        fill.account.to_string(),
        kebab(&fill.cause),
        fill.batch_id.clone().unwrap_or_default(),
        fill.outcome.as_ref().map(kebab).unwrap_or_default(),
        fill.symbol.clone(),
        fill.size_delta.to_string(),
        fill.quote_delta.to_string(),
        fill.fee.to_string(),
        fill.fill_price.to_string(),
        fill.index_price.to_string(),
        fill.slippage_bps.to_string(),
        fill.notional.to_string(),
        fill.position.to_string(),
        fill.realised.to_string(),
        fill.delay_ms.map(|delay| delay.to_string()).unwrap_or_default(),
        fill.id.clone(),
    ];
    for (position, field) in fields.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        push(text, field);
    }
    text.push_str("\r\n");
}

/// The name an enum has in JSON.
fn kebab<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

/// Appends a field: quoted when it must be, and never so that a spreadsheet takes a text from the chain for a formula.
fn push(text: &mut String, field: &str) {
    let number = field
        .strip_prefix('-')
        .unwrap_or(field)
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.');
    let formula = !number && field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !field.contains([',', '"', '\r', '\n']) {
        text.push_str(field);
        return;
    }
    text.push('"');
    if formula {
        text.push('\'');
    }
    text.push_str(&field.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(field: &str) -> String {
        let mut text = String::new();
        push(&mut text, field);
        text
    }

    #[test]
    fn quotes_what_must_be_quoted() {
        assert_eq!(pushed("ETH-USD"), "ETH-USD");
        assert_eq!(pushed("-1.50"), "-1.50");
        assert_eq!(pushed("a,b"), "\"a,b\"");
        assert_eq!(pushed("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn a_text_from_the_chain_is_no_formula() {
        assert_eq!(pushed("=1+1"), "\"'=1+1\"");
        assert_eq!(pushed("-cmd|x"), "\"'-cmd|x\"");
    }
}
