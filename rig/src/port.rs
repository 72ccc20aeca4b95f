//! Ports that are ours before anybody listens on them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt::set_socket_reuseaddr};

/// A port of this machine that the system gives to nobody else who wants any port. One who names it can listen on it,
/// and while nobody does connections are refused.
#[derive(Debug)]
pub(crate) struct Port {
    /// Bound to the port, and never listening.
    _socket: OwnedFd,
    number: u16,
}

// === impl Port ===

impl Port {
    /// Any that is free.
    pub(crate) fn reserve() -> io::Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        // Or else nobody could listen on it.
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let bound = SocketAddr::try_from(getsockname(&socket)?).map_err(io::Error::from)?;
        Ok(Self { _socket: socket, number: bound.port() })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
