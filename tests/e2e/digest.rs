//! What `done` tells of the frames before it, taken once more over the bytes that came.

use bytes::Bytes;
use serde_json::{Value, json};

use super::frames::Frame;

/// Complains if the `done` of a turn's frames tells another number or another digest than theirs,
/// or neither, although it is afterbay's own.
pub(crate) fn check(frames: &[Frame]) -> Result<(), String> {
    let Some((done, before)) = frames.split_last() else { return Err("no frames".to_owned()) };
    let (events, digest) = (&done.data["events"], &done.data["digest"]);
    if events.is_null() && digest.is_null() && before.last().is_some_and(is_by_the_box) {
        return Ok(());
    }
    let bytes: Vec<u8> = before.iter().flat_map(|frame| frame.raw.iter().copied()).collect();
    let expected = blake3::hash(&bytes).to_string();
    if *events != before.len() || *digest != expected.as_str() {
        return Err(format!("{} events of digest {expected}, and {}", before.len(), done.data));
    }
    Ok(())
}

/// Whether a box has told this `result`, and so has told the `done` behind it, too.
fn is_by_the_box(result: &Frame) -> bool {
    let is_enveloped = result.data["type"] == "result";
    result.event == "result" && (is_enveloped || result.data.get("usage").is_some())
}

/// Frames with these names and data, the last one with a digest if it is a `done`.
pub(crate) fn frames(list: &[(&str, Value)]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for (at, (event, data)) in list.iter().enumerate() {
        let (id, mut data) = (at as u64 + 1, data.clone());
        if *event == "done" && at + 1 == list.len() {
            let before: Vec<u8> = frames.iter().flat_map(|f| f.raw.iter().copied()).collect();
            data["events"] = json!(at);
            data["digest"] = json!(blake3::hash(&before).to_string());
        }
        let raw = Bytes::from(format!("id: {id}\nevent: {event}\ndata: {data}\n\n"));
        frames.push(Frame { id, event: (*event).to_owned(), data, raw });
    }
    frames
}

#[test]
fn a_digest_of_other_frames_is_complained_of_and_one_that_is_missing() {
    let list = [("execution.started", json!({})), ("result", json!({})), ("done", json!({}))];
    let whole = frames(&list);
    assert_eq!(check(&whole), Ok(()));
    let mut fewer = whole.clone();
    fewer.remove(0);
    let mut swapped = whole.clone();
    swapped.swap(0, 1);
    let mut altered = whole.clone();
    altered[0].raw = Bytes::from_static(b"id: 1\nevent: execution.started\ndata: {\"x\":1}\n\n");
    let mut silent = whole.clone();
    silent[2].data = json!({});
    for bad in [&fewer, &swapped, &altered, &silent, &Vec::new()] {
        assert!(check(bad).is_err(), "{bad:?}");
    }
    // The box's own carries none.
    silent[1].data = json!({ "usage": {} });
    assert_eq!(check(&silent), Ok(()));
}
