//! Who watches daemons while things go wrong: a Prometheus with the alert rules in a hurry.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::super::wait;
use super::prometheus::Prometheus;

pub(super) const RULES: &str = include_str!("../../../deploy/prometheus/alerts.yml");

/// For a scrape and an evaluation each second, also while the machine is busy.
pub(super) const SOON: Duration = Duration::from_secs(90);

/// The rules with their times in seconds, but for that of half an hour: the conditions stay.
fn hastened() -> String {
    let mut rules = RULES.to_owned();
    for times in ["1m", "2m", "5m", "10m", "15m", "20m", "1h"] {
        rules = rules.replace(&format!("for: {times}\n"), "for: 1s\n");
        rules = rules.replace(&format!("[{times}]"), "[8s]");
    }
    rules
}

/// The Prometheus, and what it has seen.
pub(super) struct Watch {
    prometheus: Prometheus,
    fired: RefCell<BTreeSet<&'static str>>,
}

impl Watch {
    /// Has daemons watched; `None` where there is no Prometheus.
    pub(super) async fn start(targets: &[SocketAddr]) -> Option<Self> {
        let prometheus = Prometheus::start(targets, &hastened()).await?;
        Some(Self { prometheus, fired: RefCell::default() })
    }

    /// Waits until this alert fires for the daemon at `instance`, while `act` is done again and again.
    pub(super) async fn fires_while<F>(
        &self,
        name: &'static str,
        at: SocketAddr,
        act: impl Fn() -> F,
    ) where
        F: Future<Output = ()>,
    {
        let alert = wait::until(SOON, &format!("{name} fires"), || async {
            act().await;
            self.firing(at).await.into_iter().find(|alert| alert["labels"]["alertname"] == name)
        })
        .await;
        let summary = alert["annotations"]["summary"].as_str().expect("a summary");
        assert!(!summary.contains("<no value>") && !summary.contains("error"), "{alert}");
        println!("{name}: {summary}");
        self.fired.borrow_mut().insert(name);
    }

    pub(super) async fn fires(&self, name: &'static str, at: SocketAddr) {
        self.fires_while(name, at, || async {}).await;
    }

    /// Waits until this alert, which has fired for the daemon, does so no longer.
    pub(super) async fn resolves(&self, name: &'static str, at: SocketAddr) {
        wait::until(SOON, &format!("{name} is over"), || async {
            (!self.names(at).await.contains(name)).then_some(())
        })
        .await;
    }

    /// Waits until nothing at all fires for the daemon, and it is seen.
    pub(super) async fn is_calm(&self, at: SocketAddr) {
        self.sees(&format!(r#"up{{instance="{at}"}} == 1"#)).await;
        wait::until(SOON, "nothing fires", || async {
            self.names(at).await.is_empty().then_some(())
        })
        .await;
    }

    /// What fires now for the daemon.
    pub(super) async fn names(&self, at: SocketAddr) -> BTreeSet<String> {
        let firing = self.firing(at).await;
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().map(str::to_owned);
        firing.iter().filter_map(name).collect()
    }

    /// Waits until a query finds something.
    pub(super) async fn sees(&self, query: &str) {
        wait::until(SOON, query, || async {
            (!self.prometheus.query(query).await.is_empty()).then_some(())
        })
        .await;
    }

    /// Each of these has fired, and nothing else was waited for.
    pub(super) fn has_seen(self, names: &[&'static str]) {
        assert_eq!(self.fired.into_inner(), names.iter().copied().collect());
    }

    async fn firing(&self, at: SocketAddr) -> Vec<Value> {
        let firing = self.prometheus.firing().await.into_iter();
        firing.filter(|alert| alert["labels"]["instance"] == at.to_string()).collect()
    }
}
