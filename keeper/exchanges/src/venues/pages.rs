//! The next page of a list that is longer than one reply. A list that ends at a page's end without anybody asking on looks
//! like orders that are gone, positions that are closed and fills that never were.

use serde_json::Value;

use crate::operation::Operation;
use crate::request::{Request, Response};

/// Rows of OKX, Bitget and HTX before page numbers, when the request names no other number.
const HUNDRED: usize = 100;
/// Rows of HTX before v5.
const LEGACY_FILLS: usize = 50;
/// Rows of Binance's fills.
const BINANCE_FILLS: usize = 500;
/// Rows of Hyperliquid's fills.
const HYPERLIQUID_FILLS: usize = 2_000;

/// Lists that are wanted whole. Who names a number of fills wants so many and no more.
fn is_whole(operation: &Operation) -> bool {
    match operation {
        Operation::Positions(_) | Operation::OpenOrders(_) => true,
        Operation::Fills(query) => query.limit.is_none(),
        _ => false,
    }
}

fn body(operation: &Operation, response: &Response) -> Option<Value> {
    if !is_whole(operation) || response.status != 200 {
        return None;
    }
    serde_json::from_slice(&response.body).ok()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The request with a member of its query set; none if it is so already, since the same page would come again.
fn asking(request: &Request, name: &str, value: &str) -> Option<Request> {
    let mut next = request.clone();
    match next.query.iter_mut().find(|(member, _)| member == name) {
        Some((_, known)) if known == value => return stuck(request),
        Some((_, known)) => value.clone_into(known),
        None => next.query.push((name.to_owned(), value.to_owned())),
    }
    Some(next)
}

/// [`asking`] for a body.
fn asking_in_body(request: &Request, name: &str, value: Value) -> Option<Request> {
    let mut members: serde_json::Map<String, Value> = serde_json::from_str(&request.body).ok()?;
    if members.insert(name.to_owned(), value.clone()) == Some(value) {
        return stuck(request);
    }
    let mut next = request.clone();
    next.body = Value::Object(members).to_string();
    Some(next)
}

/// More rows of one millisecond than a page holds.
fn stuck(request: &Request) -> Option<Request> {
    tracing::warn!(path = request.path, "the rest of a list cannot be asked for");
    None
}

/// Bybit names the next page.
pub(super) fn bybit(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let body = body(operation, response)?;
    let cursor = text(&body["result"]["nextPageCursor"])?;
    if body["result"]["list"].as_array()?.is_empty() {
        return None;
    }
    asking(request, "cursor", &cursor)
}

/// OKX goes on after the last row's id.
pub(super) fn okx(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let id = match operation {
        Operation::OpenOrders(_) => "ordId",
        Operation::Fills(_) => "billId",
        // Positions come in one piece.
        _ => return None,
    };
    let body = body(operation, response)?;
    let rows = body["data"].as_array().filter(|rows| rows.len() >= HUNDRED)?;
    asking(request, "after", &text(&rows.last()?[id])?)
}

/// Bitget v2 goes on below the last row's id, v3 at a cursor.
pub(super) fn bitget(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let body = body(operation, response)?;
    let data = &body["data"];
    let rows = ["fillList", "entrustedList", "list"]
        .into_iter()
        .find_map(|name| data[name].as_array())
        .filter(|rows| rows.len() >= HUNDRED)?;
    if rows.is_empty() {
        return None;
    }
    match text(&data["cursor"]) {
        Some(cursor) => asking(request, "cursor", &cursor),
        None => asking(request, "idLessThan", &text(&data["endId"])?),
    }
}

/// Deribit says that there are more; they are older, up to the last row's time.
pub(super) fn deribit(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let body = body(operation, response)?;
    let result = &body["result"];
    if result["has_more"] != Value::Bool(true) {
        return None;
    }
    let oldest = result["trades"]
        .as_array()?
        .iter()
        .filter_map(|trade| trade["timestamp"].as_u64())
        .min()?;
    asking(request, "end_timestamp", &oldest.to_string())
}

/// HTX v5 lists the newest fills; older ones are asked for up to the last row's time.
pub(super) fn htx(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let Operation::Fills(_) = operation else {
        return None;
    };
    let body = body(operation, response)?;
    let rows = body["data"].as_array().filter(|rows| rows.len() >= HUNDRED)?;
    let oldest = rows
        .iter()
        .filter_map(|row| text(&row["created_time"])?.parse::<u64>().ok())
        .min()?;
    asking(request, "end_time", &oldest.to_string())
}

/// HTX before v5: open orders have page numbers, fills are asked for up to the last row's time.
pub(super) fn htx_legacy(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let body = body(operation, response)?;
    match operation {
        Operation::OpenOrders(_) => {
            let (page, pages) = (
                body["data"]["current_page"].as_u64()?,
                body["data"]["total_page"].as_u64()?,
            );
            if page >= pages {
                return None;
            }
            asking_in_body(request, "page_index", Value::from(page + 1))
        }
        Operation::Fills(_) => {
            let rows = body["data"]
                .as_array()
                .or_else(|| body["data"]["trades"].as_array())
                .filter(|rows| rows.len() >= LEGACY_FILLS)?;
            let oldest = rows
                .iter()
                .filter_map(|row| text(&row["create_date"])?.parse::<u64>().ok())
                .min()?;
            asking_in_body(request, "end_time", Value::from(oldest))
        }
        _ => None,
    }
}

/// Binance lists fills from the start on: the next ones begin at the last row's time.
pub(super) fn binance(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let Operation::Fills(_) = operation else {
        return None;
    };
    let body = body(operation, response)?;
    let rows = body.as_array().filter(|rows| rows.len() >= BINANCE_FILLS)?;
    // Without a start the newest are listed, and nobody asked for more.
    request.query.iter().find(|(name, _)| name == "startTime")?;
    let newest = rows.iter().filter_map(|row| row["time"].as_u64()).max()?;
    asking(request, "startTime", &newest.to_string())
}

/// Hyperliquid lists fills from the start on, too.
pub(super) fn hyperliquid(operation: &Operation, request: &Request, response: &Response) -> Option<Request> {
    let Operation::Fills(query) = operation else {
        return None;
    };
    query.start_ms?;
    let body = body(operation, response)?;
    let rows = body.as_array().filter(|rows| rows.len() >= HYPERLIQUID_FILLS)?;
    let newest = rows.iter().filter_map(|row| row["time"].as_u64()).max()?;
    asking_in_body(request, "startTime", Value::from(newest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::{FillQuery, Maybe};
    use crate::request::{Access, Method};

    fn fills() -> Operation {
        Operation::Fills(FillQuery {
            instrument: None,
            start_ms: Some(1),
            limit: None,
        })
    }

    fn request() -> Request {
        Request::new(Method::Get, "/list", Access::Signed)
            .with("startTime", "1")
            .json(r#"{"startTime":1}"#)
    }

    fn response(body: &Value) -> Response {
        Response::ok(body.to_string())
    }

    fn asked(next: Option<Request>, name: &str) -> Option<String> {
        let next = next?;
        let in_query = next.query.iter().find(|(member, _)| member == name);
        in_query.map(|(_, value)| value.clone())
    }

    #[test]
    fn a_full_page_asks_for_the_next_and_a_short_one_does_not() {
        let rows = |count: usize, row: &Value| Value::from(vec![row.clone(); count]);
        let row = json!({ "billId": "7", "ordId": "8" });
        let full = response(&json!({ "data": rows(100, &row) }));
        let orders = Operation::OpenOrders(Maybe::default());
        assert_eq!(
            asked(okx(&fills(), &request(), &full), "after").as_deref(),
            Some("7")
        );
        assert_eq!(
            asked(okx(&orders, &request(), &full), "after").as_deref(),
            Some("8")
        );
        assert_eq!(
            okx(
                &fills(),
                &request(),
                &response(&json!({ "data": rows(99, &row) }))
            ),
            None
        );

        let full = response(&json!({ "data": { "fillList": rows(100, &row), "endId": "9" } }));
        assert_eq!(
            asked(bitget(&fills(), &request(), &full), "idLessThan").as_deref(),
            Some("9")
        );
        let page = |cursor| response(&json!({ "result": { "list": [1], "nextPageCursor": cursor } }));
        assert_eq!(
            asked(bybit(&fills(), &request(), &page("2")), "cursor").as_deref(),
            Some("2")
        );
        assert_eq!(bybit(&fills(), &request(), &page("")), None);

        let page = |more| {
            response(
                &json!({ "result": { "trades": [{ "timestamp": 6 }, { "timestamp": 5 }], "has_more": more } }),
            )
        };
        let next = deribit(&fills(), &request(), &page(true));
        assert_eq!(asked(next, "end_timestamp").as_deref(), Some("5"));
        assert_eq!(deribit(&fills(), &request(), &page(false)), None);

        let full = response(&json!({ "data": rows(100, &json!({ "created_time": "4" })) }));
        assert_eq!(
            asked(htx(&fills(), &request(), &full), "end_time").as_deref(),
            Some("4")
        );
        let full = response(&json!({ "data": rows(50, &json!({ "create_date": 3 })) }));
        let next = htx_legacy(&fills(), &request(), &full).unwrap();
        assert_eq!(next.body, r#"{"end_time":3,"startTime":1}"#);
        let page = |at| response(&json!({ "data": { "orders": [], "current_page": at, "total_page": 2 } }));
        let next = htx_legacy(&orders, &request(), &page(1)).unwrap();
        assert_eq!(next.body, r#"{"page_index":2,"startTime":1}"#);
        assert_eq!(htx_legacy(&orders, &request(), &page(2)), None);

        let full = response(&rows(500, &json!({ "time": 9 })));
        assert_eq!(
            asked(binance(&fills(), &request(), &full), "startTime").as_deref(),
            Some("9")
        );
        let full = response(&rows(2_000, &json!({ "time": 9 })));
        let next = hyperliquid(&fills(), &request(), &full).unwrap();
        assert_eq!(next.body, r#"{"startTime":9}"#);
    }

    #[test]
    fn a_page_that_leads_to_itself_is_the_last() {
        let full = response(&Value::from(vec![json!({ "time": 1 }); 500]));
        assert_eq!(binance(&fills(), &request(), &full), None);
    }

    #[test]
    fn who_names_a_number_gets_one_page() {
        let some = Operation::Fills(FillQuery {
            instrument: None,
            start_ms: Some(1),
            limit: Some(1),
        });
        let page = response(&json!({ "result": { "list": [1], "nextPageCursor": "2" } }));
        assert_eq!(bybit(&some, &request(), &page), None);
    }
}
