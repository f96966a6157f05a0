//! What the session is doing, from `GET /session/status`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::api::Status;
use super::in_directory;
use super::transcript::Place;
use crate::credential::Credential;
use crate::event::Event;
use crate::metrics::upstream::Call;
use crate::upstream::client::BoxClient;
use crate::upstream::snapshot::failure::cut;
use crate::upstream::snapshot::pages::Pages;
use crate::upstream::{Activity, Error};

/// The mark of the last status.
const STATUS: &str = "status";
/// The mark of the last retry that was told.
const RETRY: &str = "retry";

/// The session's status as the box says it.
pub(super) enum Now {
    Busy,
    /// The attempt, the moment of the next try, and why.
    Retrying {
        attempt: u64,
        next: u64,
        why: String,
    },
    Idle,
}

impl Now {
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    pub(super) const fn activity(&self) -> Activity {
        match self {
            Self::Busy => Activity::Busy,
            Self::Retrying { .. } => Activity::Retrying,
            Self::Idle => Activity::Idle,
        }
    }
}

pub(super) async fn read(
    client: &BoxClient,
    who: Option<&Credential>,
    place: Place<'_>,
) -> Result<Now, Error> {
    let target = in_directory("/session/status", place.directory);
    let reply = client.read(Call::Status, who, &target).await?;
    // The route names no session: without it, this is no such box, and nothing is known of the turn.
    if matches!(reply.class(), Error::Gone) && !reply.status.is_success() {
        return Err(Error::Status(reply.status));
    }
    let all: BTreeMap<String, &RawValue> = reply.json()?;
    let Some(raw) = all.get(place.session.as_str()) else {
        return Ok(Now::Idle);
    };
    let status: Status = serde_json::from_str(raw.get())
        .map_err(|_| Error::Nonsense("the session's status has another shape".into()))?;
    Ok(match status.kind.as_str() {
        "idle" => Now::Idle,
        "retry" => Now::Retrying {
            attempt: status.attempt.unwrap_or_default(),
            next: status.next.unwrap_or_default(),
            why: status.message.unwrap_or_default(),
        },
        // Whatever else a box may do: it is not idle.
        _ => Now::Busy,
    })
}

/// Marks a moved status, and tells each retry once.
pub(super) fn tell(now: &Now, pages: &mut Pages<'_>) {
    match now {
        Now::Busy => pages.mark(STATUS, "busy"),
        Now::Idle => pages.mark(STATUS, "idle"),
        Now::Retrying { attempt, next, why } => {
            pages.mark(STATUS, "retry");
            // The attempts of a later failure count from one again; its moment is another.
            let this = format!("{attempt}@{next}");
            if pages.get(RETRY) != Some(&this) {
                pages.event(retrying(*attempt, why), RETRY, &this);
            }
        }
    }
}

fn retrying(attempt: u64, why: &str) -> Event {
    #[derive(serde::Serialize)]
    struct Warning<'a> {
        code: &'static str,
        message: &'a str,
        attempt: u64,
    }
    Event::ours("warning", &Warning { code: "BOX_RETRYING", message: cut(why), attempt })
}
