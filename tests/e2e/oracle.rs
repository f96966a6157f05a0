//! What must hold for every turn that is over, however it went: no event lost, doubled or
//! reordered, one verdict, the verdict tells what the box itself says, and the digest is that of
//! the frames.

use std::net::SocketAddr;

use super::client::{Client, Opened, WAYS, Way};
use super::digest;
use super::frames::{Frame, Stop};

/// How a turn should have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Completed,
    Cancelled,
    /// With one of these codes; with any if none is named.
    Failed(&'static [&'static str]),
}

/// Checks everything that the frames alone can show, then replays the turn from `daemon` in every
/// form and compares byte for byte.
pub(crate) async fn check(client: &Client, daemon: SocketAddr, verdict: Verdict) {
    check_frames(&client.turn.marker, &client.seen, verdict);
    let seen = bytes_of(&client.seen);
    for way in WAYS {
        let replay = replay(client, daemon, way).await;
        assert_eq!(replay.len(), client.seen.len(), "{way:?} of {}", client.turn.marker);
        assert_eq!(bytes_of(&replay), seen, "{way:?} replays other bytes than were seen");
        check_resting(client, daemon, way).await;
    }
}

/// The whole turn once more, from its start, over a connection of its own.
pub(crate) async fn replay(client: &Client, daemon: SocketAddr, way: Way) -> Vec<Frame> {
    let mut again = Client::new(daemon, client.turn.clone(), &[way]);
    again.execution.clone_from(&client.execution);
    let mut frames = again.open(way).await.expect("the daemon answers").stream();
    assert_eq!(again.read(&mut frames).await, Stop::Ended, "a replay ends cleanly");
    again.seen
}

/// With a cursor at the end of a finished turn a GET is 204, a POST is 200 and empty.
async fn check_resting(client: &Client, daemon: SocketAddr, way: Way) {
    let mut again = Client::new(daemon, client.turn.clone(), &[way]);
    again.execution.clone_from(&client.execution);
    again.seen.extend(client.seen.last().cloned());
    match (way, again.open(way).await.expect("the daemon answers")) {
        (Way::RunStream | Way::Execution, Opened::NoMore) => {}
        (Way::EmptyPost | Way::SamePost, Opened::Stream(mut frames)) => {
            assert_eq!(frames.next().await, Err(Stop::Ended), "nothing follows `done`");
        }
        (way, other) => panic!("{way:?} at the end of {}: {other:?}", client.turn.marker),
    }
}

/// Exactly one close-out, at the end, with the verdict, and with the digest of all before it.
pub(crate) fn check_frames(marker: &str, seen: &[Frame], verdict: Verdict) {
    let names: Vec<&str> = seen.iter().map(|frame| frame.event.as_str()).collect();
    let count = |name: &str| names.iter().filter(|other| **other == name).count();
    assert_eq!((count("result"), count("done")), (1, 1), "{marker}: one close-out: {names:?}");
    let [.., result, done] = seen else { panic!("{marker}: too few frames: {names:?}") };
    assert_eq!((result.event.as_str(), done.event.as_str()), ("result", "done"), "{marker}");
    assert_eq!(digest::check(seen), Ok(()), "{marker}");
    let (status, success) = match verdict {
        Verdict::Completed => ("success", true),
        Verdict::Cancelled => ("cancelled", false),
        Verdict::Failed(_) => ("failed", false),
    };
    let (result, done) = (&result.data, &done.data);
    assert_eq!(result["success"], success, "{marker}: {result}");
    assert_eq!(result["status"], status, "{marker}: {result}");
    assert_eq!(done["status"], status, "{marker}: {done}");
    assert!(result["finalText"].is_string(), "{marker}: {result}");
    let codes: &[&str] = match verdict {
        Verdict::Completed => &[],
        Verdict::Cancelled => &["CANCELLED"],
        Verdict::Failed(codes) => codes,
    };
    assert_eq!(count("error"), usize::from(!success), "{marker}: {names:?}");
    if let [.., error, _, _] = seen
        && !success
    {
        assert_eq!(error.event, "error", "{marker}: `error` stands before `result`: {names:?}");
        let code = error.data["code"].as_str().unwrap_or_default();
        let fits = codes.is_empty() || codes.contains(&code);
        assert!(fits && !code.is_empty(), "{marker}: {} is none of {codes:?}", error.data);
        assert_eq!(result["errorCode"], code, "{marker}: {result}");
        assert!(result["error"].is_string(), "{marker}: {result}");
    }
}

/// The `finalText` of the close-out.
pub(crate) fn final_text(client: &Client) -> &str {
    let result = client.seen.iter().find(|frame| frame.event == "result");
    result.and_then(|frame| frame.data["finalText"].as_str()).expect("a result with a text")
}

/// The wire bytes of all frames.
pub(crate) fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.raw.iter().copied()).collect()
}

#[test]
fn a_close_out_that_is_missing_doubled_or_misplaced_is_found() {
    let close = serde_json::json!({"success": true, "status": "success", "finalText": "x"});
    let check = |names: &[&str], verdict| {
        let list: Vec<_> = names.iter().map(|name| (*name, close.clone())).collect();
        let seen = digest::frames(&list);
        std::panic::catch_unwind(|| check_frames("turn-1", &seen, verdict)).is_ok()
    };
    assert!(check(&["execution.started", "result", "done"], Verdict::Completed));
    let bad: [&[&str]; 7] = [
        &["execution.started", "result"],
        &["execution.started", "done"],
        &["execution.started", "done", "result"],
        &["execution.started", "result", "done", "done"],
        &["result", "result", "done"],
        &["result", "done", "message.part.updated"],
        &["error", "result", "done"],
    ];
    for names in bad {
        assert!(!check(names, Verdict::Completed), "{names:?} must be found");
    }
    let mut silent = digest::frames(&[("result", close.clone()), ("done", close.clone())]);
    silent[1].data = close.clone();
    let silent = std::panic::catch_unwind(|| check_frames("turn-1", &silent, Verdict::Completed));
    assert!(silent.is_err(), "a `done` without a digest must be found");
    assert!(!check(&["result", "done"], Verdict::Cancelled));
    assert!(!check(&["error", "result", "done"], Verdict::Failed(&[])));
}
