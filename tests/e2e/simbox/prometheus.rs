//! A real Prometheus that scrapes daemons each second: the system's package, on a port and a folder of its
//! own.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::http::Request;
use super::super::packages;
use super::super::port;
use super::super::process::Process;
use super::super::wait;

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running one.
#[derive(Debug)]
pub(crate) struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes `targets` as the job `afterbay` and evaluates `rules`, each second; `None` where it is not
    /// installed.
    pub(crate) async fn start(targets: &[SocketAddr], rules: &str) -> Option<Self> {
        let Some(program) = packages::found("prometheus") else {
            println!("SKIPPED: prometheus is not installed, and only root can install it");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder for Prometheus");
        let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let told = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: [alerts.yml]\n\
             scrape_configs: [{{job_name: afterbay, static_configs: [{{targets: [{}]}}]}}]\n",
            targets.join(", ")
        );
        fs::write(folder.path().join("told.yml"), told).expect("its settings");
        fs::write(folder.path().join("alerts.yml"), rules).expect("its rules");
        let address = SocketAddr::from(([127, 0, 0, 1], port::lasting()));
        let process = Process::start(&program, |command| {
            command.current_dir(folder.path());
            command.args(["--config.file=told.yml", "--storage.tsdb.path=data"]);
            command.arg(format!("--web.listen-address={address}"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        });
        wait::until(START_LIMIT, "Prometheus is ready", || async {
            let answer = Request::get("/-/ready").send(address).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        Some(Self { address, _process: process, _folder: folder })
    }

    /// The numbers that a query finds now; panics if it is none.
    pub(crate) async fn query(&self, expression: &str) -> Vec<f64> {
        let query: String = form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let data = self.ask(&format!("/api/v1/query?query={query}")).await;
        let found = data["result"].as_array().unwrap_or_else(|| panic!("{expression}: {data}"));
        let number = |one: &Value| one["value"][1].as_str()?.parse().ok();
        found.iter().map(|one| number(one).expect("a number")).collect()
    }

    /// The values that a label has had.
    pub(crate) async fn label_values(&self, label: &str) -> Vec<String> {
        let data = self.ask(&format!("/api/v1/label/{label}/values")).await;
        let values = data.as_array().expect("a list").iter();
        values.map(|value| value.as_str().expect("text").to_owned()).collect()
    }

    /// All rules, as it tells them.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let data = self.ask("/api/v1/rules").await;
        let groups = data["groups"].as_array().expect("groups").iter();
        groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    /// The alerts that fire now.
    pub(crate) async fn firing(&self) -> Vec<Value> {
        let data = self.ask("/api/v1/alerts").await;
        let alerts = data["alerts"].as_array().expect("a list").iter();
        alerts.filter(|alert| alert["state"] == "firing").cloned().collect()
    }

    async fn ask(&self, path: &str) -> Value {
        let answer = Request::get(path).send(self.address).await.expect("Prometheus answers");
        let mut said = answer.json().await.expect("an answer");
        assert_eq!(said["status"], "success", "{path}: {said}");
        said["data"].take()
    }
}
