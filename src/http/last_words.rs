//! What a client is told when its turn is refused or withdrawn after the head went out.
//!
//! The same three events as any failure ends with, but unnumbered: nothing of such a turn is in
//! the log, its ids may start again, and a client must not take these for a place to go on from.

use bytes::{Bytes, BytesMut};

use crate::mode::Fidelity;
use crate::session::Answered;
use crate::sse::frame::{self, DataLines};
use crate::turn::close_out::{self, Names};
use crate::turn::verdict::Withdrawal;

/// The close-out of a turn that never was, or `None` if the log will speak: the turn runs, or
/// goes on after a restart.
pub(crate) fn say(
    names: &Names,
    answer: &Answered,
    lines: DataLines,
    fidelity: Fidelity,
) -> Option<Bytes> {
    let (why, message) = match answer {
        Answered::Running | Answered::Stopped => return None,
        Answered::Refused(refusal) => {
            (Withdrawal::Refused, format!("the box refused the turn with {}", refusal.status))
        }
        Answered::Withdrawn(why) => (*why, why.explanation().to_owned()),
    };
    let mut out = BytesMut::new();
    let frames = close_out::withdrawn_frames(names, why, &message);
    for event in frames.into_iter().filter(|event| close_out::is_told(event, fidelity)) {
        frame::write_unnumbered(&mut out, &event, lines);
    }
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::ids::{ExecutionId, SessionId};
    use crate::upstream::Refusal;

    fn names() -> Names {
        let session = SessionId::parse("ses_1").expect("an id");
        Names { session, execution: ExecutionId::parse("e-1").expect("an id") }
    }

    #[test]
    fn a_running_turn_has_none() {
        assert_eq!(say(&names(), &Answered::Running, DataLines::One, Fidelity::Full), None);
    }

    #[test]
    fn a_refusal_is_told_as_a_failure_without_ids() {
        let refusal = Refusal {
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"Bearer canary"),
        };
        let said = say(&names(), &Answered::Refused(refusal), DataLines::One, Fidelity::Full)
            .expect("last words");
        let expected = "event: error\n\
            data: {\"message\":\"the box refused the turn with 403 Forbidden\",\
            \"code\":\"DISPATCH_REFUSED\"}\n\n\
            event: result\n\
            data: {\"finalText\":\"\",\"success\":false,\"status\":\"failed\",\
            \"error\":\"the box refused the turn with 403 Forbidden\",\
            \"errorCode\":\"DISPATCH_REFUSED\",\
            \"metadata\":{\"sessionId\":\"ses_1\"}}\n\n\
            event: done\n\
            data: {\"status\":\"failed\",\"sessionId\":\"ses_1\",\"executionId\":\"e-1\"}\n\n";
        assert_eq!(std::str::from_utf8(&said), Ok(expected));
    }

    #[test]
    fn a_withdrawn_turn_keeps_its_own_code() {
        let withdrawn = Answered::Withdrawn(Withdrawal::BoxUnreachable);
        let said = say(&names(), &withdrawn, DataLines::One, Fidelity::Full).expect("last words");
        let text = String::from_utf8(said.to_vec()).expect("UTF-8");
        assert_eq!(text.matches("BOX_UNREACHABLE").count(), 2);
        assert!(!text.contains("id:"));
    }
}
