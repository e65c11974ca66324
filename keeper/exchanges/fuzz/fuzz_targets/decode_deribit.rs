#![no_main]

#[path = "../../tests/fuzz/check.rs"]
mod check;

use libfuzzer_sys::fuzz_target;
use lockstep_exchanges::model::Venue;

fuzz_target!(|frame: &[u8]| {
    for protocol in check::protocols(Venue::Deribit) {
        check::check(protocol.as_ref(), &protocol.known_instruments(), frame);
    }
});
