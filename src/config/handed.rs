//! Listening sockets that a parent has opened and hands over: systemd's socket activation.
//!
//! `LISTEN_FDS` says how many there are, from descriptor 3 on, `LISTEN_PID` for whom, and
//! `LISTEN_FDNAMES` which is which: `clients` or `admin`. Where a name says neither, the first is the
//! clients' and the second the operators'. Whatever else is handed over is a mistake, told at once: a
//! socket that nobody serves would swallow connections.

use std::net::TcpListener;

use listenfd::ListenFd;
use socket2::SockRef;

use super::environment::{Environment, Standing};

/// What each socket is for, by its name or else by its place.
const NAMES: [&str; 2] = ["clients", "admin"];

/// The sockets, as far as there are any.
#[derive(Debug, Default)]
pub struct Handed {
    /// For clients.
    pub clients: Option<TcpListener>,
    /// For operators.
    pub operators: Option<TcpListener>,
}

impl Handed {
    /// Takes what this process was started with; the second time there is nothing left. To be called
    /// while no other thread runs, since it takes the variables away, too.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn of_process(environment: &Environment) -> Result<Self, String> {
        let Some(places) = places(environment)? else { return Ok(Self::default()) };
        let (mut all, mut handed) = (ListenFd::from_env(), Self::default());
        for (index, name) in places.into_iter().enumerate() {
            let told = |error| format!("the socket `{name}` that was handed over: {error}");
            let socket = all.take_tcp_listener(index).map_err(told)?;
            let is_listening = |socket: &TcpListener| SockRef::from(socket).is_listener();
            if !socket.as_ref().is_some_and(|socket| is_listening(socket).unwrap_or(false)) {
                return Err(format!("the socket `{name}` that was handed over does not listen"));
            }
            if name == NAMES[0] {
                handed.clients = socket;
            } else {
                handed.operators = socket;
            }
        }
        Ok(handed)
    }

    /// Where they are.
    #[must_use]
    pub fn addresses(&self) -> Standing {
        let of = |socket: &Option<TcpListener>| socket.as_ref()?.local_addr().ok();
        Standing { clients: of(&self.clients), operators: of(&self.operators) }
    }
}

/// What each of the sockets is for; `None` if this process was given none.
fn places(environment: &Environment) -> Result<Option<Vec<&'static str>>, String> {
    let Some(count) = environment.text("LISTEN_FDS").ok().flatten() else { return Ok(None) };
    if !environment.names_this_process("LISTEN_PID") {
        return Ok(None);
    }
    let count = match count.parse() {
        Ok(0) => return Ok(None),
        Ok(count) if count <= NAMES.len() => count,
        Ok(_) | Err(_) => {
            return Err(format!(
                "LISTEN_FDS is `{count}`; at most {} sockets can be handed over, named `clients` and \
                 `admin`",
                NAMES.len(),
            ));
        }
    };
    let names = environment.text("LISTEN_FDNAMES").ok().flatten().unwrap_or_default();
    let mut names = names.split(':');
    let by_place = NAMES.into_iter().take(count);
    let places: Vec<_> = by_place
        .map(|usual| {
            let given = names.next().and_then(|name| NAMES.into_iter().find(|own| *own == name));
            given.unwrap_or(usual)
        })
        .collect();
    match places.as_slice() {
        [one, other] if one == other => Err(format!(
            "LISTEN_FDNAMES names both sockets `{one}`; one is for clients, one `admin`"
        )),
        _ => Ok(Some(places)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: &str, names: &str) -> Result<Option<Vec<&'static str>>, String> {
        let own = std::process::id().to_string();
        let variables = [("LISTEN_FDS", count), ("LISTEN_PID", &own), ("LISTEN_FDNAMES", names)];
        places(&Environment::of(variables))
    }

    #[test]
    fn names_say_which_is_which_and_else_the_order_does() {
        assert_eq!(of("2", "admin:clients"), Ok(Some(vec!["admin", "clients"])));
        assert_eq!(of("2", "clients:admin"), Ok(Some(vec!["clients", "admin"])));
        assert_eq!(of("2", ""), Ok(Some(vec!["clients", "admin"])));
        assert_eq!(of("1", "afterbay.socket"), Ok(Some(vec!["clients"])));
        assert_eq!(of("1", "admin"), Ok(Some(vec!["admin"])));
        assert_eq!(of("0", ""), Ok(None));
        assert_eq!(of("", ""), Ok(None));
    }

    #[test]
    fn what_nobody_would_serve_is_a_mistake() {
        for (count, names) in
            [("3", ""), ("x", ""), ("-1", ""), ("2", "admin"), ("2", "admin:admin")]
        {
            assert!(of(count, names).is_err(), "{count} {names}");
        }
    }

    #[test]
    fn sockets_of_another_process_are_none_of_ours() {
        let variables = [("LISTEN_FDS", "7"), ("LISTEN_PID", "1")];
        assert_eq!(places(&Environment::of(variables)), Ok(None));
        assert_eq!(places(&Environment::of([("LISTEN_FDS", "7")])), Ok(None));
    }
}
