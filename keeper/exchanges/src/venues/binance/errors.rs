//! What the venue's codes mean for the caller.

use crate::error::{Refusal, VenueError};
use crate::json::{Number, read};
use crate::model::Venue;
use crate::request::Response;

use serde::Deserialize;

/// Codes and what they mean. What is not listed was refused for good ([`Refusal::Rejected`]): precision, unknown symbols,
/// margin, triggers that would fire at once, reduce-only, filters.
const CODES: [(i64, Refusal); 25] = [
    // May have been done: asked by client id before anything is sent again.
    (-1000, Refusal::Unknown),
    (-1001, Refusal::Unknown),
    (-1006, Refusal::Unknown),
    (-1007, Refusal::Unknown),
    // Not done; send again later.
    (-1008, Refusal::Busy),
    (-1016, Refusal::Maintenance),
    (-1003, Refusal::RateLimited),
    (-1015, Refusal::RateLimited),
    (-1021, Refusal::Clock),
    (-5028, Refusal::Clock),
    // The key, the secret or the address it is used from. -2015 is also said while an address is banned.
    (-1002, Refusal::Authentication),
    (-1022, Refusal::Authentication),
    (-2014, Refusal::Authentication),
    (-2015, Refusal::Authentication),
    (-2017, Refusal::Authentication),
    // It is so already.
    (-4046, Refusal::AlreadyDone),
    (-4059, Refusal::AlreadyDone),
    (-5027, Refusal::AlreadyDone),
    (-4116, Refusal::Duplicate),
    // Orders can be late: -2013 straight after sending is no proof.
    (-2011, Refusal::NotFound),
    (-2013, Refusal::NotFound),
    // The listen key is gone: make a new one.
    (-1125, Refusal::NotFound),
    // Named although they are what the default says: these are what a copier meets.
    (-2022, Refusal::Rejected),
    (-4061, Refusal::Rejected),
    (-4164, Refusal::Rejected),
];

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    code: Number<'a>,
    #[serde(default)]
    msg: std::borrow::Cow<'a, str>,
}

/// What a code means.
pub(super) fn refusal(code: i64) -> Refusal {
    CODES
        .iter()
        .find(|(listed, _)| *listed == code)
        .map_or(Refusal::Rejected, |(_, refusal)| *refusal)
}

/// A refusal by its code.
pub(super) fn refused(code: Number<'_>, message: &str) -> VenueError {
    // A code that is no number is none of the venue's: the outcome cannot be told.
    let meaning = code.integer("code").map_or(Refusal::Unknown, refusal);
    VenueError::new(Venue::Binance, meaning, code.text(), message)
}

/// The refusal in a reply, if it is one.
pub(super) fn of_response(response: &Response) -> Option<VenueError> {
    let success = (200..300).contains(&response.status);
    let body = read::<Body<'_>>(&response.body).ok();
    if let Some(body) = &body {
        let code = body.code.integer("code");
        // `{"code": 200, "msg": …}` is how the venue says that it did something.
        if !success || code.as_ref().is_ok_and(|code| *code < 0) {
            // 503 is not done only where the venue says so: its code or "Service Unavailable".
            return Some(match code {
                Ok(code) if code < 0 => refused(body.code, &body.msg),
                _ => by_status(response, &body.msg),
            });
        }
    }
    (!success).then(|| by_status(response, &String::from_utf8_lossy(&response.body)))
}

fn by_status(response: &Response, message: &str) -> VenueError {
    let meaning = match response.status {
        429 | 418 => Refusal::RateLimited,
        401 => Refusal::Authentication,
        503 if message.contains("Service Unavailable") => Refusal::Busy,
        // 403 is the firewall's: it let nothing through. 408 is a timeout behind it.
        400 | 402..=407 | 409..=417 | 419..=428 | 430..=499 => Refusal::Rejected,
        _ => Refusal::Unknown,
    };
    VenueError::new(Venue::Binance, meaning, response.status.to_string(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    #[test]
    fn codes_mean_what_the_sheet_says() {
        for code in [-1000, -1001, -1006, -1007] {
            assert_eq!(refusal(code), Refusal::Unknown, "{code}");
        }
        for code in [-1003, -1015] {
            assert_eq!(refusal(code), Refusal::RateLimited, "{code}");
        }
        for code in [-4046, -4059] {
            assert_eq!(refusal(code), Refusal::AlreadyDone, "{code}");
        }
        for code in [-2014, -2015, -1022] {
            assert_eq!(refusal(code), Refusal::Authentication, "{code}");
        }
        for code in [
            -1111, -1121, -2010, -2018, -2019, -2021, -2022, -2027, -2028, -4003, -4005, -4061, -4131, -4164,
            -4192, -5021, -5022,
        ] {
            assert_eq!(refusal(code), Refusal::Rejected, "{code}");
        }
        assert_eq!(refusal(-1008), Refusal::Busy);
        assert_eq!(refusal(-1021), Refusal::Clock);
        assert_eq!(refusal(-4116), Refusal::Duplicate);
        assert_eq!(refusal(-2011), Refusal::NotFound);
        assert_eq!(refusal(-2013), Refusal::NotFound);
    }

    #[test]
    fn a_reply_without_a_code_is_told_by_its_status() {
        let meaning = |status, body| of_response(&response(status, body)).map(|error| error.refusal);
        assert_eq!(meaning(200, r#"{"code":200,"msg":"done"}"#), None);
        assert_eq!(meaning(200, r#"{"code":"200","msg":"done"}"#), None);
        assert_eq!(meaning(200, r#"{"orderId":1}"#), None);
        assert_eq!(
            meaning(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#),
            Some(Refusal::Rejected)
        );
        assert_eq!(
            meaning(200, r#"{"code":-1121,"msg":""}"#),
            Some(Refusal::Rejected)
        );
        assert_eq!(meaning(503, "Unknown error"), Some(Refusal::Unknown));
        assert_eq!(meaning(503, "Service Unavailable."), Some(Refusal::Busy));
        assert_eq!(
            meaning(503, r#"{"code":-1008,"msg":"busy"}"#),
            Some(Refusal::Busy)
        );
        assert_eq!(meaning(502, "<html>"), Some(Refusal::Unknown));
        assert_eq!(meaning(504, ""), Some(Refusal::Unknown));
        assert_eq!(meaning(408, ""), Some(Refusal::Unknown));
        assert_eq!(meaning(429, ""), Some(Refusal::RateLimited));
        assert_eq!(meaning(418, ""), Some(Refusal::RateLimited));
        assert_eq!(meaning(403, "<html>"), Some(Refusal::Rejected));
    }
}
