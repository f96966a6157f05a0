//! Chromium without a window, and a small server for the pages that it opens: an origin of its own, as
//! pages of users have.
//!
//! The browser finds nothing but this machine: no name resolves, and it has no business of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::packages;
use super::super::process::Process;
use super::super::wait;

const QUIET: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
];

/// A running browser.
#[derive(Debug)]
pub(crate) struct Browser {
    /// `host:port` of its DevTools.
    pub(crate) devtools: String,
    _process: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts it; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = packages::found("chromium") else {
            println!("SKIPPED: chromium is not installed, and only root can install it");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let process = Process::start(&program, |command| {
            command.args(QUIET).arg(format!("--user-data-dir={}", profile.path().display()));
            command.env("HOME", profile.path()).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
        });
        let told = profile.path().join("DevToolsActivePort");
        let port = wait::until(Duration::from_secs(60), "the browser listens", || async {
            // The port, and a path on the second line: both are there once that is.
            let text = fs::read_to_string(&told).ok()?;
            Some(text.split_once('\n')?.0.to_owned())
        });
        let devtools = format!("127.0.0.1:{}", port.await);
        Some(Self { devtools, _process: process, _profile: profile })
    }
}

/// The server of the pages.
#[derive(Debug)]
pub(crate) struct Pages {
    /// As a browser names it in `Origin`.
    pub(crate) origin: String,
    _server: JoinSet<()>,
}

impl Pages {
    /// Serves the pages of `clients/pages`, and the package that one of them uses.
    pub(crate) async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the pages");
        let origin = format!("http://{}", listener.local_addr().expect("their address"));
        let package = "node_modules/@microsoft/fetch-event-source/lib/esm";
        let folders =
            Folders { pages: packages::script("pages"), package: packages::node().join(package) };
        let app = Router::new()
            .route("/page/{name}", get(page))
            .route("/{name}", get(own))
            .route("/fetch-event-source/{name}", get(packaged))
            .with_state(folders);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.expect("serve the pages") });
        Self { origin, _server: server }
    }

    /// The page that runs this script.
    pub(crate) fn page(&self, script: &str) -> String {
        format!("{}/page/{script}", self.origin)
    }
}

#[derive(Debug, Clone)]
struct Folders {
    pages: PathBuf,
    package: PathBuf,
}

async fn page(Segment(script): Segment<String>) -> Html<String> {
    let head = "<!doctype html><meta charset=utf-8><title>A client</title>";
    Html(format!("{head}<script type=module src=/{script}></script>"))
}

async fn own(State(folders): State<Folders>, Segment(name): Segment<String>) -> Response {
    javascript(&folders.pages.join(name))
}

/// The package names its own modules without their ending.
async fn packaged(State(folders): State<Folders>, Segment(name): Segment<String>) -> Response {
    javascript(&folders.package.join(name).with_extension("js"))
}

fn javascript(file: &Path) -> Response {
    let Ok(text) = fs::read_to_string(file) else { return StatusCode::NOT_FOUND.into_response() };
    ([(header::CONTENT_TYPE, "text/javascript")], text).into_response()
}
