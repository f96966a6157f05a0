//! The adapters' promises on boxes in this process: opencode's adapter on the scripted box, the
//! sandbox's on the simulated one, in the shapes that it may speak in.

#[path = "../promises/mod.rs"]
mod promises;
mod scripted;
mod simulated;

use afterbay::upstream::tangle::{Lane, Settings};
use promises::{DISPATCHING, ENDING, FINDING, GARBAGE, POLLING, Promise, RIGHTS, WAITING, keep};
use scripted::Scripted;
use simulated::Simulated;

/// How the simulated box speaks: as plain as it can, and in its other forms.
const PLAIN: &str = "";
const OTHERWISE: &str = "assign receipt info shape=data bare-status no-turn-id";

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_dispatching() {
    keep(&Scripted::start().await, &[DISPATCHING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_finding() {
    keep(&Scripted::start().await, &[FINDING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_polling() {
    keep(&Scripted::start().await, &[POLLING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_ending() {
    keep(&Scripted::start().await, &[ENDING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_waiting() {
    keep(&Scripted::start().await, &[WAITING]).await;
}

#[tokio::test]
async fn opencodes_adapter_keeps_the_promises_of_rights_and_bad_answers() {
    let stage = Scripted::start().await;
    keep(&stage, &[RIGHTS, GARBAGE]).await;
}

/// Proves `groups` on a box of each way to speak, side by side.
async fn simulated(groups: &[&[Promise]]) {
    let run = async |words, settings| keep(&Simulated::start(words, settings).await, groups).await;
    let result_path = Some("/agents/sessions/{id}/result".parse().expect("a result path"));
    let with_results = Settings { result_path, ..Settings::default() };
    let by_message = Settings { lane: Lane::Messages, ..Settings::default() };
    tokio::join!(
        run(PLAIN, Settings::default()),
        run(OTHERWISE, with_results),
        run(PLAIN, by_message),
    );
}

#[tokio::test]
async fn the_sandboxs_adapter_keeps_the_promises_of_dispatching() {
    simulated(&[DISPATCHING]).await;
}

#[tokio::test]
async fn the_sandboxs_adapter_keeps_the_promises_of_finding() {
    simulated(&[FINDING]).await;
}

#[tokio::test]
async fn the_sandboxs_adapter_keeps_the_promises_of_polling() {
    simulated(&[POLLING]).await;
}

#[tokio::test]
async fn the_sandboxs_adapter_keeps_the_promises_of_ending() {
    simulated(&[ENDING]).await;
}

#[tokio::test]
async fn the_sandboxs_adapter_keeps_the_promises_of_waiting() {
    simulated(&[WAITING]).await;
}

#[tokio::test]
async fn the_sandboxs_adapter_keeps_the_promises_of_rights_and_bad_answers() {
    simulated(&[RIGHTS, GARBAGE]).await;
}
