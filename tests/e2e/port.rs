//! Ports for servers that come back to the port they had.
//!
//! They lie below those from which the system takes a port for an outgoing connection: else, while
//! the server is away, somebody's connection could stand on its port.

use std::net::TcpListener;

/// Below the first port that common systems give to outgoing connections.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A loopback port that is free now, and is not taken by a connection that goes out.
pub(crate) fn lasting() -> u16 {
    let tries = std::iter::repeat_with(|| rand::random_range(PORTS)).take(1000);
    let mut free = tries.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("a free port")
}
