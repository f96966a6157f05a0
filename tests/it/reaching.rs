//! The way to a box, as both clients take it: the one of the JSON calls, and the pass-through.

mod handshakes;
mod moving;
mod policy;
mod traffic;

use afterbay::metrics::upstream::{Call, Metrics};
use afterbay::upstream::Error;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::reach::Reach;
use afterbay::upstream::trust::{Authorities, Trust};
use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::watch;

use super::raw::{Answer, Conn, read};
use super::support::certificates::Authority;
use super::support::open_doors::OpenDoors;

/// Both clients on their way to one box.
struct Ways {
    client: BoxClient,
    doors: OpenDoors,
}

impl Ways {
    async fn to(url: &str, connect: &Connect) -> Self {
        Self::along(url.parse::<Endpoint>().expect(url).fixed(), connect).await
    }

    async fn along(endpoint: watch::Receiver<Endpoint>, connect: &Connect) -> Self {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a registry of its own");
        let client = BoxClient::new(endpoint.clone(), connect, metrics);
        Self { client, doors: OpenDoors::along(endpoint, connect).await }
    }

    /// A call that reads; the status of the answer.
    async fn called(&self) -> Result<u16, Error> {
        let reply = self.client.read(Call::Status, None, "/session/status").await;
        reply.map(|reply| reply.status.as_u16())
    }

    /// A call that acts.
    async fn acted(&self) -> Result<u16, Error> {
        let body = Bytes::from_static(b"{}");
        let reply = self.client.act(Call::Session, None, "/session", HeaderMap::new(), body).await;
        reply.map(|reply| reply.status.as_u16())
    }

    /// A request that is passed on.
    async fn passed(&self) -> Answer {
        let mut client = Conn::open(self.doors.addr).await;
        client.send("GET /somewhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        read(client).await
    }

    /// No call and no request gets a connection, and the reason says `why` and not `secret`.
    async fn are_closed(&self, why: &str, secret: &str) {
        for failed in [self.called().await, self.acted().await] {
            let Err(Error::Connect(told)) = failed else { panic!("{why:?} is not {failed:?}") };
            assert!(told.contains(why), "{why:?} is not {told:?}");
            assert!(!told.contains(secret), "{told}");
        }
        let answer = self.passed().await;
        let code = answer.head.one("x-afterbay-error");
        assert_eq!((answer.head.status(), code), (502, Some("BOX_UNREACHABLE")), "{why}");
        assert!(!answer.body.contains(secret), "{}", answer.body);
    }
}

/// Trust in `authority`, too, and in any address.
fn trusting(authority: &Authority) -> Connect {
    let authorities = Authorities::from_pem(authority.pem().as_bytes()).expect("an authority");
    Connect::new(Trust::with(&authorities).expect("somebody to trust"), Reach::Any)
}
