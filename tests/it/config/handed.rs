//! Sockets that were handed over count in the place of the addresses that were asked for.

use afterbay::config::{self, AdminAddress, Environment, Standing};

use super::{ENOUGH, flags};

#[test]
fn a_socket_that_was_handed_over_is_where_the_program_is_and_is_judged_as_such() {
    let line: Vec<_> = ENOUGH.into_iter().chain(["--data-dir", "/data"]).collect();
    let load = |clients: Option<&str>, operators: Option<&str>| {
        let of = |address: Option<&str>| address.map(|text| text.parse().unwrap());
        let standing = Standing { clients: of(clients), operators: of(operators) };
        config::load(None, &flags(&line), &Environment::default().standing_on(standing))
    };
    let listen = load(Some("127.0.0.1:80"), Some("127.0.0.1:81")).unwrap().config.listen;
    assert_eq!(listen.clients.port(), 80);
    assert_eq!(listen.operators, AdminAddress::Given("127.0.0.1:81".parse().unwrap()));
    let listen = load(None, Some("127.0.0.1:81")).unwrap().config.listen;
    assert_eq!(listen.clients.port(), 8788, "it was not handed over");
    let told = load(Some("0.0.0.0:80"), None).unwrap_err().to_string();
    assert!(told.contains("beyond this machine"), "{told}");
}
