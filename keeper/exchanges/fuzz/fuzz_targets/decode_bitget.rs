#![no_main]

#[path = "../../tests/fuzz/check.rs"]
mod check;

use libfuzzer_sys::fuzz_target;
use lockstep_exchanges::model::Venue;

fuzz_target!(|frame: &[u8]| {
    for protocol in check::protocols(Venue::Bitget) {
        let instruments = protocol.known_instruments();
        check::check(protocol.as_ref(), &instruments, frame);
        check::check_reply(protocol.as_ref(), &instruments, frame);
    }
});
