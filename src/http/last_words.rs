//! What a client is told when its turn is refused or withdrawn after the head went out.
//!
//! The same three events as any failure ends with, but unnumbered: nothing of such a turn is in
//! the log, its ids may start again, and a client must not take these for a place to go on from.

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::event::Event;
use crate::ids::{ExecutionId, SessionId};
use crate::session::Answered;
use crate::sse::frame::{self, DataLines};
use crate::upstream::Refusal;

/// The code for a turn that the box refused.
const DISPATCH_REFUSED: &str = "DISPATCH_REFUSED";

/// The names that the close-out carries.
#[derive(Debug, Clone)]
pub(crate) struct LastWords {
    pub(crate) session: SessionId,
    pub(crate) execution: ExecutionId,
}

impl LastWords {
    /// The close-out, or `None` if the turn runs and the log will speak.
    pub(crate) fn say(&self, answer: &Answered, lines: DataLines) -> Option<Bytes> {
        match answer {
            Answered::Running => None,
            Answered::Refused(Refusal { status, .. }) => {
                let message = format!("the box refused the turn with {status}");
                Some(self.close_out(DISPATCH_REFUSED, &message, lines))
            }
            Answered::Withdrawn { code, message } => Some(self.close_out(code, message, lines)),
        }
    }

    fn close_out(&self, code: &str, message: &str, lines: DataLines) -> Bytes {
        let error = Failure { message, code };
        let result = FailedResult {
            final_text: "",
            success: false,
            status: "failed",
            error: message,
            error_code: code,
        };
        let done = FailedDone {
            status: "failed",
            session_id: self.session.as_str(),
            execution_id: self.execution.as_str(),
        };
        let mut out = BytesMut::new();
        frame::write_unnumbered(&mut out, &Event::ours("error", &error), lines);
        frame::write_unnumbered(&mut out, &Event::ours("result", &result), lines);
        frame::write_unnumbered(&mut out, &Event::ours("done", &done), lines);
        out.freeze()
    }
}

#[derive(Serialize)]
struct Failure<'a> {
    message: &'a str,
    code: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedResult<'a> {
    final_text: &'a str,
    success: bool,
    status: &'a str,
    error: &'a str,
    error_code: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedDone<'a> {
    status: &'a str,
    session_id: &'a str,
    execution_id: &'a str,
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn words() -> LastWords {
        let session = SessionId::parse("ses_1").expect("an id");
        LastWords { session, execution: ExecutionId::parse("e-1").expect("an id") }
    }

    #[test]
    fn a_running_turn_has_none() {
        assert_eq!(words().say(&Answered::Running, DataLines::One), None);
    }

    #[test]
    fn a_refusal_is_told_as_a_failure_without_ids() {
        let refusal = Refusal {
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"Bearer canary"),
        };
        let said = words().say(&Answered::Refused(refusal), DataLines::One).expect("last words");
        let expected = "event: error\n\
            data: {\"message\":\"the box refused the turn with 403 Forbidden\",\
            \"code\":\"DISPATCH_REFUSED\"}\n\n\
            event: result\n\
            data: {\"finalText\":\"\",\"success\":false,\"status\":\"failed\",\
            \"error\":\"the box refused the turn with 403 Forbidden\",\
            \"errorCode\":\"DISPATCH_REFUSED\"}\n\n\
            event: done\n\
            data: {\"status\":\"failed\",\"sessionId\":\"ses_1\",\"executionId\":\"e-1\"}\n\n";
        assert_eq!(std::str::from_utf8(&said), Ok(expected));
    }

    #[test]
    fn a_withdrawn_turn_keeps_its_own_code() {
        let withdrawn =
            Answered::Withdrawn { code: "BOX_UNREACHABLE", message: "no connection".into() };
        let said = words().say(&withdrawn, DataLines::One).expect("last words");
        let text = String::from_utf8(said.to_vec()).expect("UTF-8");
        assert_eq!(text.matches("BOX_UNREACHABLE").count(), 2);
        assert!(!text.contains("id:"));
    }
}
