//! An event as `tail` and `turn` show it: one line for people, or its frame as it came.

use serde_json::Value;

use super::screen::{Paint, harmless};
use crate::limits;
use crate::sse::parser::Frame;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One line each.
    Lines(Paint),
    /// As frames of an event stream.
    Frames,
}

/// The text for one event, with its line end.
pub(super) fn show(frame: &Frame, form: Form) -> String {
    match form {
        Form::Lines(paint) => line(frame, paint),
        Form::Frames => {
            let id = frame.id.as_ref().map(|id| format!("id: {id}\n")).unwrap_or_default();
            let data: String =
                frame.data.split('\n').map(|line| format!("data: {line}\n")).collect();
            format!("{id}event: {}\n{data}\n", frame.name)
        }
    }
}

fn line(frame: &Frame, paint: Paint) -> String {
    let Frame { id, name, data } = frame;
    let id = harmless(id.as_deref().unwrap_or("-"), 20);
    let told = harmless(&told(name, data), limits::TAIL_LINE_CHARS);
    let name = format!("{:<22}", harmless(name, 60));
    let name = match name.trim_end() {
        "error" => paint.bad(&name),
        "result" | "done" => paint.good(&name),
        _ => paint.name(&name),
    };
    format!("{}  {name}  {told}\n", paint.dim(&format!("{id:>6}")))
}

/// What of an event's data says most to people; all of it for an event that is not known.
fn told(name: &str, data: &str) -> String {
    let Ok(json) = serde_json::from_str::<Value>(data) else { return data.to_owned() };
    let text = |path: &str| json.pointer(path).and_then(Value::as_str);
    let short = match name {
        "message.part.updated" => {
            let added =
                text("/delta").or_else(|| text("/part/text")).or_else(|| text("/part/state/title"));
            let what = text("/part/tool").or_else(|| text("/part/type"));
            let state = text("/part/state/status").map(|state| format!(" {state}"));
            what.map(|what| format!("{what}{}: {}", state.unwrap_or_default(), added.unwrap_or("")))
        }
        "execution.started" => text("/executionId").map(str::to_owned),
        "result" => text("/finalText").filter(|text| !text.is_empty()).map(str::to_owned),
        "error" => text("/message").map(|message| match text("/code") {
            Some(code) => format!("{code}: {message}"),
            None => message.to_owned(),
        }),
        "done" => text("/status").map(str::to_owned),
        _ => None,
    };
    short.unwrap_or_else(|| data.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, data: &str) -> Frame {
        Frame { id: Some("7".to_owned()), name: name.to_owned(), data: data.to_owned() }
    }

    #[track_caller]
    fn check(name: &str, data: &str, expected: &str) {
        let line = show(&frame(name, data), Form::Lines(Paint::Plain));
        let mut words = line.split_whitespace();
        assert_eq!((words.next(), words.next()), (Some("7"), Some(name)));
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected);
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
    }

    #[test]
    fn what_says_most_is_shown_on_one_line() {
        check(
            "message.part.updated",
            r#"{"part":{"type":"text","text":"a b"},"delta":"b\n"}"#,
            r"text: b\n",
        );
        let tool = r#"{"part":{"type":"tool","tool":"bash","state":{"status":"running"}}}"#;
        check("message.part.updated", tool, "bash running:");
        check("error", r#"{"message":"gone","code":"BOX_LOST"}"#, "BOX_LOST: gone");
        check("done", r#"{"status":"success"}"#, "success");
        check("other", r#"{"x":1}"#, r#"{"x":1}"#);
        check("result", "not json", "not json");
    }

    #[test]
    fn a_raw_frame_is_one_again() {
        let shown = show(&frame("x", "{\n}"), Form::Frames);
        assert_eq!(shown, "id: 7\nevent: x\ndata: {\ndata: }\n\n");
    }
}
