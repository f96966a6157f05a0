//! Sessions of the test's own: a real log in a folder that goes with them, before a given box.

use std::sync::Arc;

use afterbay::credential::HashKey;
use afterbay::ids::BoxName;
use afterbay::limits;
use afterbay::log::{Options, RealDisk, Store};
use afterbay::metrics::Metrics;
use afterbay::mode::Fidelity;
use afterbay::session::boxes::{BoxEntry, Boxes};
use afterbay::session::recovered::Recovered;
use afterbay::session::retention::Keep;
use afterbay::session::{Config, Sessions, Vouching};
use afterbay::tasks::Tasks;
use afterbay::trace::Tracer;
use afterbay::turn::Deadlines;
use afterbay::turn::control::role;
use afterbay::upstream::budget::ProxyBudget;
use afterbay::upstream::client::BoxClient;
use afterbay::upstream::connect::Connect;
use afterbay::upstream::endpoint::Endpoint;
use afterbay::upstream::opencode::Opencode;
use afterbay::upstream::schedule::Intervals;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Empty sessions before the box at `endpoint`, and the folder of their log.
pub(crate) fn open(
    endpoint: watch::Receiver<Endpoint>,
    connect: &Connect,
) -> (Sessions, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = Metrics::new().expect("names are free");
    let mut recovered = Recovered::default();
    let disk = RealDisk::open(&folder.path().join("log")).expect("a log folder");
    let store =
        Store::open(Arc::new(disk), Options::new(role), metrics.log.clone(), &mut |found| {
            recovered.fold(found)
        })
        .expect("an empty log");
    let client = BoxClient::new(endpoint, connect, metrics.upstream.clone());
    let entry = BoxEntry {
        upstream: Arc::new(Opencode::new(client)),
        budget: ProxyBudget::new(limits::POLLS_PER_SECOND)
            .for_box(limits::POLLS_PER_SECOND_PER_BOX),
        credential: None,
    };
    let config = Config {
        store,
        boxes: Boxes::default().with(BoxName::default_box(), entry),
        hash_key: HashKey::from_bytes([7; 32]),
        vault: None,
        deadlines: Deadlines::default(),
        intervals: Intervals::default(),
        fidelity: Fidelity::default(),
        vouching: Vouching::default(),
        keep: Keep::default(),
        tasks: Tasks::new(),
        drain: CancellationToken::new(),
        metrics: metrics.turn.clone(),
        tracer: Tracer::default(),
    };
    (Sessions::open(config, recovered), folder)
}
