//! The end of a turn as its frames tell it: exactly one, at the end, of one mind, and with the digest
//! of the frames before it.

use serde_json::Value;

use crate::e2e::digest;
use crate::e2e::frames::Frame;

/// How a turn ended, as clients were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CloseOut {
    /// `success`, `failed` or `cancelled`.
    pub(super) status: String,
    /// Of a turn that did not succeed.
    pub(super) code: Option<String>,
    pub(super) text: String,
}

impl CloseOut {
    /// What tallies call it.
    pub(super) fn name(&self) -> String {
        self.code.clone().unwrap_or_else(|| self.status.clone())
    }

    /// Reads the close-out at the end of a turn's frames; complains if it is not exactly one.
    pub(super) fn read(frames: &[Frame]) -> Result<Self, String> {
        let names: Vec<_> = frames.iter().map(|frame| frame.event.as_str()).collect();
        let count = |name: &str| names.iter().filter(|other| **other == name).count();
        let [.., result, done] = frames else {
            return Err(format!("too few frames: {names:?}"));
        };
        let closes = (result.event.as_str(), done.event.as_str()) == ("result", "done");
        if !closes || (count("result"), count("done")) != (1, 1) {
            return Err(format!("not one close-out at the end: {names:?}"));
        }
        digest::check(frames)?;
        let (result, done) = (flat(result), flat(done));
        let status = done["status"].as_str().unwrap_or_default();
        let success = status == "success";
        if result["success"] != success || result["status"] != status {
            return Err(format!("{result} and {done} disagree"));
        }
        let Some(text) = result["finalText"].as_str() else {
            return Err(format!("no text in {result}"));
        };
        let code = if success { None } else { Some(code(frames, result)?) };
        if count("error") != usize::from(!success) {
            return Err(format!("`error` is for failures: {names:?}"));
        }
        if (status == "cancelled") != (code.as_deref() == Some("CANCELLED")) {
            return Err(format!("{result} with {code:?}"));
        }
        Ok(Self { status: status.to_owned(), code, text: text.to_owned() })
    }
}

fn code(frames: &[Frame], result: &Value) -> Result<String, String> {
    let [.., error, _, _] = frames else { return Err("no `error`".to_owned()) };
    let code = flat(error)["code"].as_str().filter(|_| error.event == "error");
    let code = code.ok_or_else(|| format!("no `error` with a code before {result}"))?;
    if result["errorCode"] != code || !result["error"].is_string() {
        return Err(format!("{result} is not about {code}"));
    }
    Ok(code.to_owned())
}

/// A frame's data; the box's own may be in an envelope.
pub(super) fn flat(frame: &Frame) -> &Value {
    let is_enveloped = frame.data["type"] == frame.event.as_str();
    frame.data.get("properties").filter(|_| is_enveloped).unwrap_or(&frame.data)
}

#[test]
fn one_close_out_is_read_and_anything_else_is_complained_of() {
    use serde_json::json;

    let ok = json!({ "success": true, "status": "success", "finalText": "x" });
    let bad = json!({ "success": false, "status": "failed", "finalText": "",
        "error": "why", "errorCode": "E" });
    let enveloped = json!({ "type": "result", "properties": ok });
    let error = json!({ "message": "why", "code": "E" });
    let read = |list: &[(&str, Value)]| CloseOut::read(&digest::frames(list));
    let done = |status: &str| ("done", json!({ "status": status }));
    let success = ("result", ok.clone());
    let failure = ("result", bad.clone());
    assert!(read(&[success.clone(), done("success")]).is_ok());
    assert!(read(&[("result", enveloped), done("success")]).is_ok());
    let failed = read(&[("error", error.clone()), failure.clone(), done("failed")]);
    assert_eq!(failed.map(|end| end.name()), Ok("E".to_owned()));
    for list in [
        vec![success.clone()],
        vec![done("success")],
        vec![done("success"), success.clone()],
        vec![success.clone(), success.clone(), done("success")],
        vec![success.clone(), done("success"), success.clone(), done("success")],
        vec![success.clone(), done("failed")],
        vec![failure.clone(), done("failed")],
        vec![("error", error.clone()), success, done("success")],
        vec![("error", json!({ "code": "F" })), failure, done("failed")],
    ] {
        assert!(read(&list).is_err(), "{list:?}");
    }
}
