//! What the service manager that started the program is told, in systemd's protocol: that it serves,
//! reloads, stops, and lives.
//!
//! Without one nobody is told anything. A manager that cannot be told is no reason not to serve: it
//! is logged, and it will draw its own conclusions.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::config::Environment;

/// The service manager, if there is one.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Whoever the environment names.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let Some(address) = environment.notify_socket() else { return Self::default() };
        match connect(address) {
            Ok(socket) => Self { socket: Some(socket), watchdog: environment.watchdog() },
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything");
                Self::default()
            }
        }
    }

    /// It serves; after a reload, again.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving\n");
    }

    /// It reads its configuration anew; [`Supervisor::ready`] says that it has.
    pub fn reloading(&self) {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(tv_sec) * 1_000_000 + i128::from(tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// It stops.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping: streams end, turns go on at the box\n");
    }

    /// Tells that it lives, twice as often as is wanted, for ever.
    // Cancel-safe: it keeps nothing but its clock.
    pub async fn keep_telling(&self) {
        let Some(within) = self.watchdog else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(within / 2);
        loop {
            ticks.tick().await;
            self.tell("WATCHDOG=1\n");
        }
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, state, "the service manager was not told");
        }
    }
}

/// The address is a path, or a name in the kernel's own list behind an `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not read must not stop the program.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let read = manager.recv(&mut buffer).expect("something told");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_is_told_in_its_protocol_and_that_the_program_lives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        manager.set_nonblocking(true).expect("a socket");
        let path = path.to_str().expect("a path");
        let variables = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "2000000")];
        let supervisor = Supervisor::of(&Environment::of(variables));
        supervisor.ready();
        assert!(told(&manager).starts_with("READY=1\n"));
        supervisor.reloading();
        let reloading = told(&manager);
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("its time");
        assert!(micros.trim_end().parse::<u64>().is_ok_and(|micros| micros > 0), "{reloading}");
        supervisor.stopping();
        assert!(told(&manager).starts_with("STOPPING=1\n"));
        let three = Duration::from_millis(2500);
        assert!(tokio::time::timeout(three, supervisor.keep_telling()).await.is_err());
        for _ in 0..3 {
            assert_eq!(told(&manager), "WATCHDOG=1\n");
        }
        assert!(manager.recv(&mut [0; 8]).is_err(), "no more often than that");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_manager_or_with_one_that_is_gone_nobody_is_told() {
        for variables in [[("NOTIFY_SOCKET", "")], [("NOTIFY_SOCKET", "/nowhere/notify")]] {
            let supervisor = Supervisor::of(&Environment::of(variables));
            supervisor.ready();
            let telling = supervisor.keep_telling();
            assert!(tokio::time::timeout(Duration::from_secs(9), telling).await.is_err());
        }
    }

    #[test]
    fn a_watchdog_of_another_process_is_none_of_ours() {
        let of = |pid| Environment::of([("WATCHDOG_USEC", "5000000"), ("WATCHDOG_PID", pid)]);
        assert_eq!(of("1").watchdog(), None);
        let own = std::process::id().to_string();
        assert_eq!(of(&own).watchdog(), Some(Duration::from_secs(5)));
    }
}
