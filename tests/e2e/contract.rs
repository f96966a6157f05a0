//! The native API against its own document, by a tool that reads nothing else: `schemathesis` makes
//! requests of what the document allows and of what it forbids, and holds each answer against it.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::daemon;
use super::http::Request;
use super::packages::environment;
use super::process::Process;
use super::simbox::set::{Set, Settings};
use super::wait;

/// The tool, pinned.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Real names in most requests, or nearly all of them would meet nothing; streams that end. A
/// turn's body has rules that no schema can tell: names that stand twice must agree.
const CONFIGURATION: &str = r#"
[parameters]
"path.box" = "default"
"path.session" = "ses"
"path.execution" = "exec-1"
"query.until" = "idle"
"query.wait" = 0

[[operations]]
include-name = "POST /afterbay/v1/boxes/{box}/sessions/{session}/turns"
checks.positive_data_acceptance.enabled = false
"#;

#[tokio::test]
async fn whatever_the_document_allows_or_forbids_is_answered_as_it_says() {
    let place = environment("schemathesis", &[SCHEMATHESIS]);
    let daemon = daemon::Settings { flags: vec!["--head-wait", "200ms"], ..Default::default() };
    let set = Set::with(Settings { daemon, ..Settings::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("schemathesis.toml"), CONFIGURATION).expect("write it");
    let turn = json!({"message": "parts=2", "executionId": "exec-1", "turnId": "t-1"});
    let turn = Request::post("/afterbay/v1/boxes/default/sessions/ses/turns", &turn);
    let started = turn.send(set.daemon.address()).await.expect("the daemon answers");
    assert_eq!(started.status, 202);
    let said = fs::File::create(folder.path().join("said")).expect("a file");
    let document = format!("http://{}/afterbay/v1/openapi.json", set.daemon.address());
    let mut tool = Process::start(&place.join("schemathesis"), |command| {
        command.current_dir(folder.path()).arg("run").arg(document);
        command.args(["--seed", "1", "--max-examples", "30", "--no-color"]);
        command.args(["--request-timeout", "20", "--generation-database", "none"]);
        command.stdout(said.try_clone().expect("share the file")).stderr(said);
    });
    let ended =
        wait::until(Duration::from_secs(180), "the tool ends", || std::future::ready(tool.ended()))
            .await;
    let told = fs::read_to_string(folder.path().join("said")).expect("text");
    assert!(ended.success(), "{told}");
    assert!(told.contains("6 selected / 6 total"), "{told}");
}
