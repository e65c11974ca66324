//! The committed document is the one the code makes, and the types it describes are the ones the code reads.

use alloy::primitives::{Address, B256, Bytes, U256};
use lockstep_contracts::relay::{Intent, RelayState, RelayStatus, SignedIntent, SignedMandate, TokenPermit};
use serde_json::{Value, json};

use crate::schema;
use crate::world::accepted_mandate;

#[test]
fn the_committed_document_is_the_one_the_code_makes() {
    let committed = include_str!("../../openapi.json");
    let made = lockstep_api::routes::openapi_json().unwrap();
    assert!(
        committed == made,
        "run `cargo run -p lockstep-api -- openapi > api/openapi.json`"
    );
}

#[test]
fn it_is_openapi_3_1_and_every_reference_leads_somewhere() {
    let document = schema::document();
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_documents_its_problems() {
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in schema::document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} twice");
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|text| text.ends_with('.')),
                "{method} {path}"
            );
            if path.starts_with("/api/") {
                assert!(operation["responses"].get("default").is_some(), "{method} {path}");
            }
        }
    }
}

/// Money and its like must say what they are.
#[test]
fn every_amount_names_its_unit() {
    let schemas = schema::document()["components"]["schemas"].as_object().unwrap();
    for name in ["Usdc", "BaseSize", "Price", "Leverage", "NavIndex", "Bps"] {
        assert!(
            schemas[name]["x-unit"].is_string() && schemas[name]["x-decimals"].is_u64(),
            "{name}"
        );
    }
    for (name, schema) in schemas {
        for (property, described) in schema["properties"].as_object().into_iter().flatten() {
            if property.ends_with("Bps") && described.get("$ref").is_none() {
                assert_eq!(described["x-unit"], "bps", "{name}.{property}");
            }
        }
        assert!(
            !schema.to_string().contains("\"type\":\"number\""),
            "{name} holds a floating-point number"
        );
    }
}

fn signed_mandate() -> SignedMandate {
    SignedMandate {
        mandate: accepted_mandate(),
        permit_nonce: U256::MAX,
        permit_deadline: U256::from(5),
        signature: Bytes::from(vec![1; 65]),
        token_permit: Some(TokenPermit {
            value: U256::from(1),
            deadline: U256::from(2),
            v: 27,
            r: B256::repeat_byte(1),
            s: B256::repeat_byte(2),
        }),
    }
}

#[test]
fn what_is_read_is_what_is_described() {
    let mandate = serde_json::to_value(signed_mandate()).unwrap();
    schema::check_named("SignedMandate", &mandate);
    let without = SignedMandate {
        token_permit: None,
        ..signed_mandate()
    };
    schema::check_named("SignedMandate", &serde_json::to_value(without).unwrap());
    let (follower, strategy) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let (nonce, deadline) = (U256::from(3), U256::from(4));
    for intent in [
        Intent::Stop {
            follower,
            strategy,
            nonce,
            deadline,
        },
        Intent::Withdraw {
            follower,
            strategy,
            amount: U256::MAX,
            nonce,
            deadline,
        },
    ] {
        let signed = SignedIntent {
            intent,
            signature: Bytes::from(vec![1; 65]),
        };
        schema::check_named("SignedIntent", &serde_json::to_value(signed).unwrap());
    }
    let transaction = B256::repeat_byte(3);
    for state in [
        RelayState::Queued,
        RelayState::Submitted { transaction },
        RelayState::Included {
            transaction,
            block: 5,
        },
        RelayState::Rejected {
            code: "X".into(),
            detail: "x".into(),
        },
    ] {
        let status = RelayStatus {
            id: transaction,
            state,
        };
        schema::check_named("RelayStatus", &serde_json::to_value(status).unwrap());
    }
}

#[test]
fn what_is_not_read_is_not_described() {
    let good = serde_json::to_value(signed_mandate()).unwrap();
    let broken = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (pointer, value) in [
        ("/mandate/deposit", json!(5)),
        ("/mandate/deposit", json!("-5")),
        ("/mandate/deposit", json!("5.0")),
        ("/mandate/mode", json!("0")),
        ("/mandate/follower", json!("0x12")),
        ("/mandate/allowedMarkets", json!("ETH-USD")),
        ("/signature", json!("0x1")),
        ("/tokenPermit/r", json!("0x12")),
    ] {
        let body = broken(pointer, value);
        assert!(
            serde_json::from_value::<SignedMandate>(body.clone()).is_err(),
            "read: {pointer}"
        );
        assert!(!schema::fits("SignedMandate", &body), "described: {pointer}");
    }
}
