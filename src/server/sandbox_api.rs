//! What stands behind the doors where there is a Sandbox API: the way to it, and the boxes that its
//! answers have told of.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::config::Api;
use crate::http::front::{Acquire, Front, Whereabouts};
use crate::http::passthrough::Passthrough;
use crate::metrics::Metrics;
use crate::session::boxes::Boxes;
use crate::session::learned::{LearnedBoxes, Means};
use crate::upstream::budget::ProxyBudget;
use crate::upstream::client::BoxClient;
use crate::upstream::connect::Connect;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::reach::Reach;
use crate::upstream::via::ViaName;

/// Where the program listens; ports are resolved by now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// What clients speak: `http` or `https`.
    pub(super) scheme: &'static str,
    /// Where they connect.
    pub(super) clients: SocketAddr,
    /// Where operators do, if they are served.
    pub(super) operators: Option<SocketAddr>,
}

/// The API, and what it is wired to.
#[derive(Debug)]
pub(super) struct Wired {
    pub(super) api: Api,
    /// How the API is connected to.
    pub(super) connect: Connect,
    /// Under which name in `Via`.
    pub(super) via: ViaName,
    /// Where clients reach the program, if that is not the bound address.
    pub(super) public_url: Option<Endpoint>,
    pub(super) bound: Bound,
}

/// What there is if there is an API: its boxes beside the configured ones, and itself. The data
/// folder's lock is held.
///
/// # Errors
/// If the list of learned boxes cannot be read or written, or is another version's; if the bound
/// address makes no URL.
pub(super) async fn behind(
    api: Option<Wired>,
    boxes: Boxes,
    data_dir: PathBuf,
    polls: (ProxyBudget, NonZeroU32),
    metrics: &Metrics,
) -> anyhow::Result<(Boxes, Option<Front>)> {
    let Some(wired) = api else { return Ok((boxes, None)) };
    let learned = wired.learned_boxes(data_dir, polls, metrics).await?;
    Ok((boxes.with_learned(learned), Some(wired.front(metrics)?)))
}

impl Wired {
    /// Opens the boxes that are known, off the runtime's threads.
    async fn learned_boxes(
        &self,
        data_dir: PathBuf,
        (budget, rate): (ProxyBudget, NonZeroU32),
        metrics: &Metrics,
    ) -> anyhow::Result<LearnedBoxes> {
        let (somewhere, counters) = (self.api.endpoint.clone().fixed(), metrics.upstream.clone());
        let client =
            BoxClient::new(somewhere, &self.to_boxes(), counters).known_as(self.via.clone());
        let means = Means { client, budget, rate };
        let counters = metrics.front.clone();
        let open = move || {
            LearnedBoxes::open(&data_dir, means, counters)
                .with_context(|| format!("open the learned boxes in {}", data_dir.display()))
        };
        tokio::task::spawn_blocking(open).await.context("open the learned boxes")?
    }

    /// The API and its boxes as the doors see them.
    fn front(&self, metrics: &Metrics) -> anyhow::Result<Front> {
        let Self { api, connect, via, public_url, bound } = self;
        let public_url = match public_url {
            Some(given) => given.clone(),
            None => own_url(*bound)?,
        };
        let way = |connect: &Connect| {
            Passthrough::new(api.endpoint.clone().fixed(), connect).known_as(via.clone())
        };
        let own_doors = [bound.clients].into_iter().chain(bound.operators).collect();
        Ok(Front {
            to_boxes: way(&self.to_boxes()),
            to_api: way(connect),
            whereabouts: Whereabouts { reach: self.reach(), own_doors, public_url },
            acquire: api.acquire.map(|budget| Acquire { budget }),
            metrics: metrics.front.clone(),
        })
    }

    /// How learned boxes are connected to: each time, the address is judged.
    fn to_boxes(&self) -> Connect {
        self.connect.reaching(self.reach())
    }

    fn reach(&self) -> Reach {
        Reach::Public { allowed: self.api.networks.clone().into() }
    }
}

/// The URL of the clients' door, as it is bound.
fn own_url(bound: Bound) -> anyhow::Result<Endpoint> {
    let Bound { scheme, clients, operators: _ } = bound;
    format!("{scheme}://{clients}").parse().context("make a URL of the clients' address")
}
