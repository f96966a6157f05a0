//! `afterbay verify --transcript`: any bytes as what a client has read.
//!
//! It ends with an exit code of its own. What it takes for whole stays whole when it comes twice and
//! when a comment stands before it. A turn as we write it is whole, however its lines are broken, and
//! is not with any byte of its frames turned into another one.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use afterbay::cli;
use afterbay::config::Environment;
use afterbay::event::{Event, EventName, Seq, WireJson};
use afterbay::sse::frame::{self, DataLines};
use afterbay::turn::transcript::Transcript;
use bytes::BytesMut;
use serde_json::json;

use super::input::Input;

const WHOLE: ExitCode = ExitCode::SUCCESS;

/// Reads `bytes` as a transcript, or as what a turn is to be made of.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.flag() { check_turn(&mut input) } else { check_any(input.rest()) }
}

fn check_any(transcript: &[u8]) {
    let said = verify(transcript);
    assert!([0, 1, 2].map(ExitCode::from).contains(&said), "{said:?}");
    if said == WHOLE {
        let again = [transcript, b"\n\n", transcript].concat();
        assert_eq!(verify(&again), WHOLE, "not when it comes twice");
        let behind = [frame::FIRST_COMMENT, transcript].concat();
        assert_eq!(verify(&behind), WHOLE, "not behind a comment");
    }
}

fn check_turn(input: &mut Input<'_>) {
    let lines = NonZeroUsize::new(input.below(32)).map_or(DataLines::One, DataLines::AtMost);
    let first = input.number().clamp(1, u64::MAX / 2);
    let (at, turned) = (usize::from(input.u16()), input.byte().max(1));
    let mut transcript = Transcript::begin(Seq::new(first));
    let mut out = BytesMut::new();
    let mut seq = Seq::new(first);
    let mut name = "execution.started";
    loop {
        let count = input.below(16);
        let text = String::from_utf8_lossy(input.bytes(count)).into_owned();
        let event = event(name, &json!({ "text": text, "n": [seq.get(), count] }));
        transcript.take(seq, &event).expect("the next one");
        frame::write(&mut out, seq, &event, lines);
        seq = seq.next();
        name = if input.flag() { "message.part.updated" } else { "a" };
        if input.is_empty() {
            break;
        }
    }
    let frames = out.len();
    let sum = transcript.sum();
    let told = json!({ "events": sum.events, "digest": sum.digest.to_hex().as_str() });
    frame::write(&mut out, seq, &event("done", &told), lines);
    assert_eq!(verify(&out), WHOLE, "a turn as it is written");
    let at = at % frames;
    let before = out[at];
    out[at] ^= turned;
    // Either of them ends a line.
    let is_line_end = |byte: u8| [b'\r', b'\n'].contains(&byte);
    if !(is_line_end(before) && is_line_end(out[at])) {
        assert_ne!(verify(&out), WHOLE, "byte {at} is turned by {turned}");
    }
}

fn event(name: &'static str, data: &serde_json::Value) -> Event {
    let data = WireJson::from_value(data).expect("an object");
    Event { name: EventName::from_static(name), data }
}

/// What the command says of it, by its exit code.
fn verify(transcript: &[u8]) -> ExitCode {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), transcript).expect("it is written");
    let words = ["afterbay", "verify", "--transcript"].map(OsString::from);
    let arguments = words.into_iter().chain([file.path().as_os_str().to_owned()]);
    cli::main(arguments, &Environment::of([]))
}
