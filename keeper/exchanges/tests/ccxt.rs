//! Our requests are those that ccxt sends for the same input: method, address with its query and signature, headers, body,
//! byte for byte. `tests/ccxt/<venue>.mjs` holds the cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    name: String,
    sign: Value,
    expected: Vec<Sent>,
    #[serde(default)]
    differs: Differs,
}

#[derive(Deserialize)]
struct Sent {
    method: String,
    url: String,
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    body: String,
}

/// Members that are not compared, each with the reason.
#[derive(Deserialize, Default)]
struct Differs {
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    body: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Ours {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn cases(venue: &str) -> Vec<Case> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ccxt")
        .join(format!("{venue}.mjs"));
    let output = Command::new("node")
        .arg(&script)
        .output()
        .expect("node is needed to run ccxt");
    assert!(
        output.status.success(),
        "{}: {}\n(ccxt comes with `npm ci` at the root of the repository)",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn ours(description: &Value) -> Vec<Ours> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_exchanges"))
        .arg("sign")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut description = description.clone();
    // What a case leaves out is absent, not null.
    if let Some(members) = description.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    child
        .stdin
        .take()
        .unwrap()
        .write_all(description.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{description}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The address without the pairs that are not compared.
fn address(url: &str, differs: &Differs) -> String {
    match url.split_once('?') {
        Some((path, query)) if !differs.query.is_empty() => {
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| {
                    !differs
                        .query
                        .contains_key(pair.split('=').next().unwrap_or_default())
                })
                .collect();
            format!("{path}?{}", kept.join("&"))
        }
        _ => url.to_owned(),
    }
}

/// The body as it is, or as an object without the members that are not compared.
fn body(text: &str, differs: &Differs) -> String {
    if differs.body.is_empty() {
        return text.to_owned();
    }
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut remove = |value: &mut Value| {
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, _| !differs.body.contains_key(name));
        }
    };
    match &mut value {
        Value::Array(list) => list.iter_mut().for_each(&mut remove),
        other => remove(other),
    }
    value.to_string()
}

fn compare(venue: &str) {
    let cases = cases(venue);
    assert!(!cases.is_empty(), "{venue}: no cases");
    let mut wrong = Vec::new();
    for case in &cases {
        let ours = ours(&case.sign);
        if ours.len() != case.expected.len() {
            wrong.push(format!(
                "{}: {} requests, ccxt {}",
                case.name,
                ours.len(),
                case.expected.len()
            ));
            continue;
        }
        for (ours, theirs) in ours.iter().zip(&case.expected) {
            let mut check = |what: &str, ours: String, theirs: String| {
                if ours != theirs {
                    wrong.push(format!(
                        "{}: {what}\n    ours   {ours}\n    theirs {theirs}",
                        case.name
                    ));
                }
            };
            check("method", ours.method.clone(), theirs.method.clone());
            check(
                "address",
                address(&ours.url, &case.differs),
                address(&theirs.url, &case.differs),
            );
            check(
                "body",
                body(&ours.body, &case.differs),
                body(&theirs.body, &case.differs),
            );
            for (name, value) in &theirs.headers {
                if case.differs.headers.contains_key(name) {
                    continue;
                }
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), ToOwned::to_owned);
                let set = ours
                    .headers
                    .iter()
                    .find(|(header, _)| header.eq_ignore_ascii_case(name))
                    .map_or("(absent)", |(_, value)| value);
                check(&format!("header {name}"), set.to_owned(), value);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{venue}: {} of {} cases differ from ccxt:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn binance_requests_are_those_of_ccxt() {
    compare("binance");
}

#[test]
fn okx_requests_are_those_of_ccxt() {
    compare("okx");
}

#[test]
fn bybit_requests_are_those_of_ccxt() {
    compare("bybit");
}

#[test]
fn bitget_requests_are_those_of_ccxt() {
    compare("bitget");
}

#[test]
fn deribit_requests_are_those_of_ccxt() {
    compare("deribit");
}

#[test]
fn htx_requests_are_those_of_ccxt() {
    compare("htx");
}

#[test]
fn hyperliquid_requests_are_those_of_ccxt() {
    compare("hyperliquid");
}
