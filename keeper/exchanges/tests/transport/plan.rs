//! Streams are spread over sockets so that each socket knows what to expect on it.

use std::collections::HashSet;
use std::sync::Arc;

use lockstep_exchanges::model::{Stream, Text, Venue};
use lockstep_exchanges::protocol::{Environment, Protocol};
use lockstep_exchanges::transport::clock::{LocalClock, VenueClock};
use lockstep_exchanges::transport::socket::{Plan, Settings, plan};
use lockstep_exchanges::venues::protocol;

/// Best prices, book and mark price of so many instruments.
fn whole(venue: Venue, instruments: usize) -> Plan {
    let protocol: Arc<dyn Protocol> = Arc::from(protocol(venue));
    let streams = (0..instruments)
        .flat_map(|number| {
            let instrument = Text::from(format!("C{number:04}USDT"));
            [
                Stream::Ticker {
                    instrument: instrument.clone(),
                },
                Stream::Book {
                    instrument: instrument.clone(),
                },
                Stream::Mark { instrument },
            ]
        })
        .collect();
    Plan {
        endpoints: protocol.endpoints(Environment::Main),
        instruments: protocol.known_instruments(),
        clock: VenueClock::new(venue, LocalClock::start()),
        streams,
        index: 0,
        credentials: None,
        keys: None,
        settings: Settings::default(),
        protocol,
    }
}

/// Binance takes 200 streams per connection: a socket that waits for the data of another one's streams would call them
/// stale and be opened again for ever.
#[test]
fn each_socket_waits_for_its_own_streams_only() {
    for venue in Venue::ALL {
        let whole = whole(venue, 300);
        let plans = plan(&whole).unwrap();
        let mut seen = HashSet::new();
        for plan in &plans {
            let connections = plan
                .protocol
                .connections(&plan.endpoints, &plan.streams, None, None, 0)
                .unwrap();
            assert_eq!(connections.len(), 1, "{venue}: {} streams", plan.streams.len());
            assert_eq!(plan.index, 0);
            for stream in &plan.streams {
                assert!(seen.insert(stream.clone()), "{venue}: {stream:?} twice");
            }
        }
        assert_eq!(seen.len(), whole.streams.len(), "{venue}");
        if venue == Venue::Binance {
            // 600 of one address, 300 of the other, 200 on each connection.
            assert_eq!(plans.len(), 5);
        }
    }
}
