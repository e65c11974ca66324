//! Who is asking: the address behind trusted proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use axum::http::HeaderMap;
use ipnet::IpNet;

/// A client for counting: an IPv4 address, or the /64 network that one IPv6 customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

const FORWARDED_FOR: &str = "x-forwarded-for";

impl Client {
    /// Of a request. `X-Forwarded-For` counts only as far as trusted proxies wrote it: from the right, the first address
    /// that is not a trusted proxy's.
    #[must_use]
    pub fn of(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        Self::network(behind(peer.to_canonical(), headers, trusted))
    }

    fn network(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & !u128::from(u64::MAX),
            ))),
        }
    }
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut nearest = peer;
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    for part in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let part = part.trim();
        let address = part
            .parse::<IpAddr>()
            .or_else(|_| part.parse::<SocketAddr>().map(|socket| socket.ip()));
        let Ok(address) = address.map(|address| address.to_canonical()) else {
            return nearest;
        };
        nearest = address;
        if !is_trusted(&address) {
            return address;
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        headers
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        let headers = forwarded(&["9.9.9.9"]);
        assert_eq!(behind(ip("1.2.3.4"), &headers, &[]), ip("1.2.3.4"));
        assert_eq!(
            behind(ip("1.2.3.4"), &headers, &["10.0.0.0/8".parse().unwrap()]),
            ip("1.2.3.4")
        );
    }

    #[test]
    fn a_trusted_proxy_names_the_client_and_what_the_client_wrote_before_is_not_believed() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let headers = forwarded(&["6.6.6.6, 9.9.9.9, 10.0.0.2"]);
        assert_eq!(behind(ip("10.0.0.1"), &headers, &trusted), ip("9.9.9.9"));
        let headers = forwarded(&["6.6.6.6", "9.9.9.9:1234"]);
        assert_eq!(behind(ip("10.0.0.1"), &headers, &trusted), ip("9.9.9.9"));
        assert_eq!(
            behind(ip("10.0.0.1"), &forwarded(&["nonsense"]), &trusted),
            ip("10.0.0.1")
        );
    }

    #[test]
    fn one_ipv6_customer_is_one_client() {
        assert_eq!(
            Client::network(ip("2001:db8:1:2:3::4")),
            Client::network(ip("2001:db8:1:2:ffff::"))
        );
        assert_ne!(
            Client::network(ip("2001:db8:1:2::")),
            Client::network(ip("2001:db8:1:3::"))
        );
    }
}
