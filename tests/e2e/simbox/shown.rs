//! What the frames of a turn must be, given what the box showed: the box's own bytes, in the
//! box's order, up to the last version of every part; and what it must have cost the box.

use std::collections::BTreeMap;

use afterbay::simbox::{self, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::client::Client;
use super::super::frames::Frame;
use super::super::oracle::{self, Verdict};
use super::set::Set;

/// The dispatch's stream is dropped after 1 s of silence; what is more is a busy machine's.
const LONGEST_SILENCE_MS: u64 = 2_000;

#[derive(Debug, Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    part: &'a RawValue,
    delta: Option<String>,
}

/// Whether every version of a part must have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The turn's parts never change: each frame is one version.
    All,
    /// Parts grow between two polls: some versions may be missing, the last may not.
    Last,
}

/// Checks a turn that is over: the oracle of all turns, then the box's account of this one.
pub(crate) async fn check(set: &Set, client: &Client, verdict: Verdict, seen: Seen) {
    oracle::check(client, set.daemon.address(), verdict).await;
    let told = set.told(client);
    check_parts(&told, &client.seen, seen);
    check_cost(&client.turn.marker, &told);
    let text = told.final_text.text.as_deref().expect("a text short enough to be kept");
    assert_eq!(oracle::final_text(client), text, "the text is the box's");
}

/// One prompt sent, one run, and no silent stream held.
pub(crate) fn check_cost(marker: &str, told: &simbox::Turn) {
    assert_eq!((told.dispatches, told.runs), (1, 1), "{marker}: dispatches and runs");
    assert_eq!(told.streams_open, 0, "{marker}: streams held after the end");
    let silence = told.longest_silence_ms;
    assert!(silence <= LONGEST_SILENCE_MS, "{marker}: a stream silent for {silence} ms was held");
}

/// The frames of parts beside the versions that the box showed.
pub(crate) fn check_parts(told: &simbox::Turn, frames: &[Frame], seen: Seen) {
    let updates = frames.iter().filter(|frame| frame.event == "message.part.updated");
    let mut versions = told.versions.iter();
    let mut shown: Vec<&Version> = Vec::new();
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for frame in updates {
        let update: Update<'_> = serde_json::from_str(frame.data_text()).expect("a part");
        let json = update.part.get();
        // Taking them off as they are found keeps the order.
        let version = versions.find(|version| version.json.text.as_deref() == Some(json));
        let version = version.unwrap_or_else(|| panic!("not shown by the box, or late: {json}"));
        let text = text_of(json);
        if let Some(delta) = update.delta {
            // Of a part that is new, all of its text was added.
            let before = texts.get(version.part.as_str()).map_or("", String::as_str);
            assert_eq!(format!("{before}{delta}"), text, "the delta of {}", version.part);
        }
        texts.insert(&version.part, text);
        shown.push(version);
    }
    let mut last: BTreeMap<&str, &Version> = BTreeMap::new();
    last.extend(told.versions.iter().map(|version| (version.part.as_str(), version)));
    for (part, version) in last {
        let at_last = shown.iter().rev().find(|shown| shown.part == part);
        assert_eq!(at_last, Some(&version), "the last version of {part}");
    }
    if seen == Seen::All {
        let all: Vec<&Version> = told.versions.iter().collect();
        assert_eq!(shown, all, "frame by frame what the box showed");
    }
}

fn text_of(json: &str) -> String {
    let part: serde_json::Value = serde_json::from_str(json).expect("a part is JSON");
    part["text"].as_str().unwrap_or_default().to_owned()
}
