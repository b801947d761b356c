//! Which names the server answers to, and which pages may write to it.
//!
//! A page in a browser can make requests to a server on the same machine. If it reached it under a
//! name of its own choosing (DNS rebinding), it could read the answers; so a request must name this
//! server by an address or by a name that it was given. And a request that changes something is
//! refused when a browser says that a foreign page sent it.

use std::net::{IpAddr, SocketAddr};

/// The names that requests may use.
#[derive(Debug, Clone)]
pub struct Hosts {
    names: Vec<String>,
    any_address: bool,
}

impl Hosts {
    /// The names of a server that listens on `address`, and `further` ones.
    pub fn new(address: SocketAddr, further: &[String]) -> Self {
        let mut names: Vec<String> = further.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.push("localhost".into());
        Self { names, any_address: !address.ip().is_loopback() }
    }

    /// Whether a request to `authority` (`host` or `host:port`) is meant for this server.
    pub fn allow(&self, authority: &str) -> bool {
        let host = host_of(authority);
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // An address cannot be rebound; from afar it is that of this machine in some network.
            Ok(address) => self.any_address || address.is_loopback(),
            Err(_) => self.names.iter().any(|name| name.eq_ignore_ascii_case(host)),
        }
    }

    /// Whether a page of `origin` (`scheme://authority`) may write to the server that it called
    /// `authority`: only a page that the server itself served.
    pub fn same_origin(&self, origin: &str, authority: &str) -> bool {
        origin.split_once("://").is_some_and(|(_, page)| page.eq_ignore_ascii_case(authority))
    }
}

/// The authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listen: &str, authority: &str, expected: bool) {
        let hosts = Hosts::new(listen.parse().unwrap(), &["data.example".into()]);
        assert_eq!(hosts.allow(authority), expected, "{authority} at {listen}");
    }

    #[test]
    fn a_request_must_name_this_server() {
        for good in ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "[::1]:8080", "[::1]", "data.example:1"] {
            check("127.0.0.1:8080", good, true);
        }
        for bad in ["evil.example", "localhost.evil.example", "8.8.8.8", "", "[::2]:80", "data.example.evil"] {
            check("127.0.0.1:8080", bad, false);
        }
        check("0.0.0.0:8080", "192.0.2.7:8080", true);
        check("0.0.0.0:8080", "evil.example", false);
    }

    #[test]
    fn only_a_page_of_the_server_itself_may_write() {
        let hosts = Hosts::new("127.0.0.1:8080".parse().unwrap(), &[]);
        assert!(hosts.same_origin("http://localhost:8080", "localhost:8080"));
        for foreign in ["http://evil.example", "null", "", "http://localhost:9090", "http://localhost"] {
            assert!(!hosts.same_origin(foreign, "localhost:8080"), "{foreign}");
        }
    }
}
