//! The listening sockets, bound before anything else is opened: a taken port is told at once
//! and nothing has been touched.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::config::{AdminAddress, Listen};
use crate::limits;

/// Sockets that take connections into their backlog; nobody answers yet.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub clients: TcpListener,
    /// For operators, if they are served.
    pub operators: Option<TcpListener>,
}

impl Listeners {
    /// Binds them. A taken default admin port gives way to a free one.
    ///
    /// # Errors
    /// With the address and the system's reason.
    pub fn bind(listen: &Listen) -> anyhow::Result<Self> {
        let clients = bind(listen.clients).with_context(|| told("clients", listen.clients))?;
        let operators = match listen.operators {
            AdminAddress::Given(given) => {
                Some(bind(given).with_context(|| told("operators", given))?)
            }
            AdminAddress::Default(usual) => {
                Some(bind_or_any(usual).with_context(|| told("operators", usual))?)
            }
            AdminAddress::Off => None,
        };
        Ok(Self { clients, operators })
    }
}

fn bind_or_any(usual: SocketAddr) -> io::Result<TcpListener> {
    bind(usual).or_else(|error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(error);
        }
        tracing::warn!(%usual, "the default admin port is in use; taking a free one");
        bind(SocketAddr::new(usual.ip(), 0))
    })
}

fn told(whom: &str, address: SocketAddr) -> String {
    format!("listen for {whom} on {address}")
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the last run's connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Raises the soft limit of open files to the hard one: the usual soft limit of 1024 is below what
/// a thousand clients with a box connection each need.
pub fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, ?current, "the limit of open files cannot be raised");
    }
}
