//! The checker against captures: whole ones in every form in which they come, and each kind of
//! change. What is whole is computed here from the definition, in plain text.

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};

use super::*;
use crate::cli::verify::capture;

/// The frames of a turn, its `done` last.
fn turn(first: u64, texts: &[&str]) -> Vec<String> {
    let name = |at: usize| match at {
        0 => "execution.started",
        at if at + 1 == texts.len() => "result",
        _ => "message.part.updated",
    };
    let frame = |(at, (id, text)): (usize, (u64, &&str))| {
        format!("id: {id}\nevent: {}\ndata: {{\"text\":\"{text}\"}}\n\n", name(at))
    };
    let mut frames: Vec<String> = (first..).zip(texts).enumerate().map(frame).collect();
    let (digest, events) = (blake3::hash(frames.concat().as_bytes()), frames.len());
    let id = first + events as u64;
    frames.push(format!(
        "id: {id}\nevent: done\ndata: {{\"executionId\":\"e-{first}\",\"events\":{events},\
         \"digest\":\"{digest}\"}}\n\n"
    ));
    frames
}

/// Four events, ids 1 to 4, and `done` as id 5.
fn one() -> Vec<String> {
    turn(1, &["a", "b", "c", "d"])
}

/// What is said of a capture, a line for each; the last are the sums.
fn said(capture: &str) -> Vec<String> {
    said_by(Checker::new(), capture)
}

fn said_by(mut checker: Checker, capture: &str) -> Vec<String> {
    let input = Bytes::from(capture.to_owned());
    let blocks = capture::blocks(&input[..]).collect::<Vec<_>>().now_or_never();
    let mut lines = Vec::new();
    for block in blocks.expect("never waits") {
        lines.extend(checker.take(block.expect("readable")));
    }
    let (rest, counts) = checker.finish();
    lines.extend(rest);
    lines.iter().map(Line::to_string).chain([counts.to_string()]).collect()
}

#[track_caller]
fn check(capture: &[String], lines: &[&str]) {
    assert_eq!(said(&capture.concat()), lines, "of {capture:#?}");
}

const OK: &str = "ok             e-1: 4 events, ids 1 to 4";

#[test]
fn a_whole_turn_is_ok() {
    check(&one(), &[OK, "1 ok, 0 wrong, 0 not checkable"]);
    check(
        &turn(1, &["a"]),
        &["ok             e-1: 1 event, id 1", "1 ok, 0 wrong, 0 not checkable"],
    );
}

#[test]
fn turns_that_follow_each_other_or_of_which_some_were_not_captured_are_ok_each() {
    let two = turn(6, &["x", "y"]);
    let ok = "ok             e-6: 2 events, ids 6 to 7";
    check(&[one(), two.clone()].concat(), &[OK, ok, "2 ok, 0 wrong, 0 not checkable"]);
    check(&two, &[ok, "1 ok, 0 wrong, 0 not checkable"]);
    let far = turn(60, &["x", "y"]);
    let ok = "ok             e-60: 2 events, ids 60 to 61";
    check(&[one(), far].concat(), &[OK, ok, "2 ok, 0 wrong, 0 not checkable"]);
}

#[test]
fn what_came_again_after_a_reconnect_is_passed_over() {
    let frames = one();
    let ok = [OK, "1 ok, 0 wrong, 0 not checkable"];
    for (cut, again) in [(3, 3), (3, 1), (3, 0), (5, 0), (5, 4), (1, 0)] {
        let connections = [&frames[..cut], &frames[again..]];
        check(&connections.concat(), &ok);
    }
    check(&[&frames[..4], &frames[1..2], &frames[2..3], &frames[2..]].concat(), &ok);
}

#[test]
fn a_connection_that_was_cut_between_two_lines_of_a_frame_is_no_loss() {
    let frames = one();
    let begun = frames[2].replace("\"}", "\"\n: connected\n");
    assert_ne!(begun, frames[2]);
    for again in [2, 1, 0] {
        let capture = [&frames[..2], std::slice::from_ref(&begun), &frames[again..]].concat();
        check(&capture, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
    }
    let broken = "id 3 is altered: it holds no JSON object";
    let wrong = format!("wrong          e-1: 4 events, ids 1 to 4: {broken}");
    let sums = "0 ok, 1 wrong, 0 not checkable";
    check(&[&frames[..2], std::slice::from_ref(&begun), &frames[3..]].concat(), &[&wrong, sums]);
    let other = begun.replace("\"c\"", "\"C\"");
    let wrong = format!("{wrong}; id 3 is there twice with different bytes");
    check(&[&frames[..2], &[other], &frames[2..]].concat(), &[&wrong, sums]);
    let last = [&frames[..2], &[begun]].concat();
    let none = "not checkable  ids 1 to 3: their `done` is not there";
    let stray = format!("wrong          outside of these turns: {broken}");
    check(&last, &[none, &stray, "0 ok, 1 wrong, 1 not checkable"]);
}

#[test]
fn missing_ids_are_told_exactly() {
    let without = |gone: &[usize]| -> Vec<String> {
        let kept = one().into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
        kept.map(|(_, frame)| frame).collect()
    };
    for (gone, what) in [
        (&[0][..], "id 1 is missing"),
        (&[2], "id 3 is missing"),
        (&[3], "id 4 is missing"),
        (&[0, 1], "ids 1 to 2 are missing"),
        (&[1, 2, 3], "ids 2 to 4 are missing"),
        (&[0, 2], "id 1 is missing; id 3 is missing"),
        (&[0, 1, 2, 3], "ids 1 to 4 are missing"),
    ] {
        let wrong = format!("wrong          e-1: 4 events, ids 1 to 4: {what}");
        check(&without(gone), &[&wrong, "0 ok, 1 wrong, 0 not checkable"]);
    }
    let wrong = "wrong          e-6: 2 events, ids 6 to 7: id 6 is missing";
    let two = turn(6, &["x", "y"])[1..].to_vec();
    check(&[one(), two.clone()].concat(), &[OK, wrong, "1 ok, 1 wrong, 0 not checkable"]);
    check(&two, &[wrong, "0 ok, 1 wrong, 0 not checkable"]);
}

#[test]
fn frames_whose_done_is_gone_are_not_checkable_and_do_not_disturb_the_next_turn() {
    let none = "not checkable  ids 1 to 4: their `done` is not there";
    check(&one()[..4], &[none, "0 ok, 0 wrong, 1 not checkable"]);
    let capture = [one()[..4].to_vec(), turn(6, &["x", "y"])].concat();
    let ok = "ok             e-6: 2 events, ids 6 to 7";
    check(&capture, &[none, ok, "1 ok, 0 wrong, 1 not checkable"]);
    // A turn of which clients saw the result alone has no `done`.
    let result = "id: 1\nevent: result\ndata: {}\n\n".to_owned();
    for texts in [&["x", "y"][..], &["y"]] {
        let next = turn(2, texts);
        let next = next.iter().map(|frame| frame.replace("execution.started", "error"));
        let before: Vec<String> = next.clone().take(texts.len()).collect();
        let digest = blake3::hash(before.concat().as_bytes());
        let done = format!(
            "id: {}\nevent: done\ndata: {{\"events\":{},\"digest\":\"{digest}\"}}\n\n",
            2 + texts.len(),
            texts.len(),
        );
        let said = said(&[vec![result.clone()], before, vec![done]].concat().concat());
        assert_eq!(said[0], "not checkable  id 1: their `done` is not there");
        assert_eq!(said[2], "1 ok, 0 wrong, 1 not checkable", "{said:?}");
    }
}

#[test]
fn an_altered_frame_is_told() {
    let with = |from: &str, to: &str| one().concat().replace(from, to);
    let altered = "wrong          e-1: 4 events, ids 1 to 4: altered: the digest differs";
    let sums = "0 ok, 1 wrong, 0 not checkable";
    for (from, to) in [
        ("\"b\"", "\"B\""),
        ("\"text\":\"b\"", "\"text\": \"b\""),
        ("data: {\"text\":\"b\"", "data:  {\"text\":\"b\""),
        ("id: 2\nevent: message.part.updated", "id: 2\nevent: message.part.updatee"),
        ("event: message.part.updated\n", ""),
    ] {
        assert_eq!(said(&with(from, to)), [altered, sums], "{from:?}");
    }
    let broken =
        "wrong          e-1: 4 events, ids 1 to 4: id 2 is altered: it holds no JSON object";
    assert_eq!(said(&with("\"b\"", "\"b")), [broken, sums]);
    assert_eq!(said(&with("\"text\":\"b\"", "\"text\":\"b\ndata: \"")), [broken, sums]);
    for (from, to) in [("\"digest\":\"", "\"digest\":\"0"), ("\"digest\":\"", "\"digest\":\"A")] {
        assert_eq!(said(&with(from, to)), [altered, sums], "{to:?}");
    }
}

#[test]
fn a_done_that_does_not_fit_is_told() {
    let sums = "0 ok, 1 wrong, 0 not checkable";
    let begins = "wrong          e-1: 3 events, ids 2 to 4: by its `events` it begins with id 2, \
        but a turn begins with 1";
    let said_of = |to: &str| said(&one().concat().replace("\"events\":4", to));
    assert!(said_of("\"events\":3").contains(&begins.to_owned()), "{:?}", said_of("\"events\":3"));
    for events in ["\"events\":5", "\"events\":-1", "\"events\":\"4\"", "\"event\":4"] {
        let nonsense = "its `events` and `digest` cannot be read";
        let said = said_of(events);
        assert!(said[0].starts_with("wrong ") && said[0].ends_with(nonsense), "{said:?}");
        assert_eq!(said[1], sums);
    }
}

#[test]
fn frames_out_of_order_are_told() {
    let sums = "0 ok, 1 wrong, 0 not checkable";
    let mut frames = one();
    frames.swap(1, 2);
    let late = "wrong          e-1: 4 events, ids 1 to 4: id 2 stands behind id 3";
    check(&frames, &[late, sums]);
    let mut frames = one();
    frames.swap(3, 4);
    let missing = "wrong          e-1: 4 events, ids 1 to 4: id 4 is missing";
    let late = "wrong          outside of these turns: id 4 stands behind id 5";
    check(&frames, &[missing, late, "0 ok, 2 wrong, 0 not checkable"]);
}

#[test]
fn an_id_with_two_contents_is_told_wherever_the_second_one_stands() {
    let frames = one();
    let other = frames[1].replace("\"b\"", "\"B\"");
    let doubled = "id 2 is there twice with different bytes";
    for at in 2..=4 {
        let mut frames = frames.clone();
        frames.insert(at, other.clone());
        let wrong = format!("wrong          e-1: 4 events, ids 1 to 4: {doubled}");
        check(&frames, &[&wrong, "0 ok, 1 wrong, 0 not checkable"]);
    }
    let stray = format!("wrong          outside of these turns: {doubled}");
    let late = [frames.clone(), vec![other.clone()]].concat();
    check(&late, &[OK, &stray, "1 ok, 1 wrong, 0 not checkable"]);
    // The other one first.
    let mut first = frames;
    first.insert(1, other);
    let both =
        format!("wrong          e-1: 4 events, ids 1 to 4: {doubled}; altered: the digest differs");
    check(&first, &[&both, "0 ok, 1 wrong, 0 not checkable"]);
}

#[test]
fn a_done_without_a_digest_is_not_checkable() {
    let done = "id: 5\nevent: done\ndata: {\"executionId\":\"e-1\"}\n\n".to_owned();
    let capture = [&one()[..4], &[done], &turn(6, &["x", "y"])].concat();
    let not = "not checkable  e-1, in ids 1 to 5: its `done` carries no digest";
    let ok = "ok             e-6: 2 events, ids 6 to 7";
    check(&capture, &[not, ok, "1 ok, 0 wrong, 1 not checkable"]);
}

#[test]
fn ids_that_afterbay_said_are_gone_are_missing_and_its_word_is_no_frame() {
    let gone = "id: 3\nevent: warning\ndata: {\"code\":\"EVENTS_EXPIRED\",\"from\":2,\"to\":3}\n\n";
    let mut frames = one();
    frames.splice(1..3, [gone.to_owned()]);
    let wrong = "wrong          e-1: 4 events, ids 1 to 4: ids 2 to 3 are missing";
    check(&frames, &[wrong, "0 ok, 1 wrong, 0 not checkable"]);
    // Read before they were gone, they are there.
    let all = [one(), vec![gone.to_owned()]].concat();
    check(&all, &[OK, "1 ok, 0 wrong, 0 not checkable"]);
}

#[test]
fn events_without_ids_are_last_words_or_wrong() {
    let words = ["error", "result", "done"].map(|name| format!("event: {name}\ndata: {{}}\n\n"));
    let not = "not checkable  3 closing events without ids, of turns that never were";
    check(&words, &[not, "0 ok, 0 wrong, 1 not checkable"]);
    let mut frames = one();
    frames.insert(2, "event: message.part.updated\ndata: {}\n\n".to_owned());
    let wrong = "wrong          e-1: 4 events, ids 1 to 4: an event without an id";
    check(&frames, &[wrong, "0 ok, 1 wrong, 0 not checkable"]);
    let bad = one().concat().replace("id: 2\n", "id: 02\n");
    let wrong = "wrong          e-1: 4 events, ids 1 to 4: id 2 is missing; \"02\" is no id";
    assert_eq!(said(&bad), [wrong, "0 ok, 1 wrong, 0 not checkable"]);
}

#[test]
fn what_comes_again_too_late_to_be_compared_is_not_passed_over() {
    let capture = [one(), one()].concat().concat();
    let checker = |most_marks| Checker { most_marks, ..Checker::new() };
    assert_eq!(said_by(checker(5), &capture), [OK, "1 ok, 0 wrong, 0 not checkable"]);
    let stray = "wrong          outside of these turns: id 1 comes again too late to be compared";
    assert_eq!(said_by(checker(4), &capture), [OK, stray, "1 ok, 1 wrong, 0 not checkable"]);
}

#[test]
fn many_findings_are_counted_and_the_first_are_told() {
    let other = "id: 2\nevent: message.part.updated\ndata: {\"text\":\"B\"}\n\n".to_owned();
    let capture = [&one()[..4], &vec![other; 50], &one()[4..]].concat();
    let said = said(&capture.concat());
    assert_eq!(said[0].matches("id 2 is there twice").count(), limits::MAX_TRANSCRIPT_FINDINGS);
    assert_eq!(said[1], "wrong          outside of these turns: 30 findings more");
    assert_eq!(said[2], "0 ok, 2 wrong, 0 not checkable");
}

/// Whether a capture passes as one whole turn.
fn passes(capture: &[u8]) -> bool {
    let mut checker = Checker::new();
    let blocks = capture::blocks(capture).collect::<Vec<_>>().now_or_never();
    for block in blocks.expect("never waits") {
        checker.take(block.expect("readable"));
    }
    let (_, counts) = checker.finish();
    counts == Counts { whole: 1, ..Counts::default() }
}

#[test]
fn no_change_of_a_byte_passes_unless_it_is_the_same_frame_to_every_reader() {
    let capture = one().concat().into_bytes();
    let summed_up = one()[..4].concat().len();
    assert!(passes(&capture));
    for at in 0..summed_up {
        let was = capture[at];
        let flipped = (0..8).map(|bit| was ^ (1 << bit));
        for byte in flipped.chain(*b"\n\r\t\0 :\"}\xff0x").filter(|byte| *byte != was) {
            let mut other = capture.clone();
            other[at] = byte;
            // A carriage return ends a line as well, unless it makes one end out of two.
            let same = was == b'\n' && byte == b'\r' && capture[at + 1] != b'\n';
            assert_eq!(passes(&other), same, "byte {at} of {was} as {byte}");
        }
        let mut shorter = capture.clone();
        shorter.remove(at);
        // One space behind a field's colon may be left out.
        let same = was == b' ' && capture[at - 1] == b':';
        assert_eq!(passes(&shorter), same, "without byte {at}, {was}");
    }
}
