//! A small server for the pages that a browser opens: an origin of its own, as pages of users have.

use std::fs;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::packages;

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
