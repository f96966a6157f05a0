//! The doors on a port of their own, served as the program serves them, before a box of the
//! test's; with a log in a folder that stays as long as they are open.

use std::net::SocketAddr;

use afterbay::http::boxes::NamedBox;
use afterbay::http::passthrough::Passthrough;
use afterbay::http::{Doors, Service, Settings};
use afterbay::ids::BoxName;
use afterbay::metrics::Metrics;
use afterbay::server::{self, Ends, Wire, serve_connections};
use afterbay::tasks::Tasks;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::sessions;

/// Open doors.
pub(crate) struct OpenDoors {
    pub(crate) addr: SocketAddr,
    /// What ends their connections.
    pub(crate) ends: Ends,
    /// What runs behind them; connections are tasks of their own.
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
}

impl OpenDoors {
    /// Opens doors before the box at `base`, on a free port.
    pub(crate) async fn before(base: &str, settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener, base, settings)
    }

    /// Opens doors on `listener`.
    pub(crate) fn on(listener: TcpListener, base: &str, settings: Settings) -> Self {
        let endpoint = base.parse::<Endpoint>().expect("a URL").fixed();
        Self::open(listener, endpoint, &Connect::default(), settings)
    }

    /// Opens doors on a free port, before a box that may move and is connected to in this way.
    pub(crate) async fn along(endpoint: watch::Receiver<Endpoint>, connect: &Connect) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::open(listener, endpoint, connect, Settings::default())
    }

    fn open(
        listener: TcpListener,
        endpoint: watch::Receiver<Endpoint>,
        connect: &Connect,
        settings: Settings,
    ) -> Self {
        let addr = listener.local_addr().expect("an address");
        let (ends, tasks) = (Ends::default(), Tasks::new());
        let (sessions, folder) = sessions::open(endpoint.clone(), connect);
        let metrics = Metrics::new().expect("names are free");
        let doors = Doors {
            sessions,
            settings,
            metrics: metrics.http.clone(),
            drain: ends.drain.clone(),
            tasks: tasks.clone(),
            root: Some(NamedBox {
                name: BoxName::default_box(),
                passthrough: Passthrough::new(endpoint, connect),
                result_path: None,
            }),
            further: Vec::new(),
            front: None,
        };
        let connections = Tasks::new();
        let serve = serve_connections(
            listener,
            Wire::Clear,
            Service::new(doors),
            server::Settings::CLIENTS,
            ends.clone(),
            connections.clone(),
        );
        connections.spawn("doors", async move {
            let _folder = folder;
            serve.await;
        });
        Self { addr, ends, tasks, metrics }
    }

    /// The value of a line of the metrics: its name with its labels.
    pub(crate) fn metric(&self, line: &str) -> Option<u64> {
        let text = self.metrics.render().expect("metrics");
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found.map(|value| value.parse().expect("a number"))
    }
}
