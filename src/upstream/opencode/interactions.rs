//! What waits for a person: permissions and questions, told once when they open and once when they
//! are gone.
//!
//! A request of a sub-agent's session is one of the turn's, since the turn waits for it. A request
//! of a session in which nothing runs is none, though the box may still list it: an abort leaves
//! it there. For the same reason one that is older than the turn's prompt is not the turn's.

use futures_util::future::join;
use serde_json::value::RawValue;

use super::api::{Request, Session};
use super::in_directory;
use super::message_id::stamp;
use super::prepare::look_up;
use super::status::Now;
use super::transcript::Place;
use crate::credential::Credential;
use crate::event::Event;
use crate::ids::SessionId;
use crate::limits;
use crate::metrics::upstream::Call;
use crate::upstream::Error;
use crate::upstream::client::BoxClient;
use crate::upstream::snapshot::nesting::is_nested_deeper_than;
use crate::upstream::snapshot::pages::{Pages, unreadable};

/// Marks of open requests: `i/<kind>/<id>`.
const OPEN: &str = "i/";
/// Marks of other sessions with an open request, and whether they are the turn's: `k/<session>`.
const KIN: &str = "k/";

/// What kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Permission,
    Question,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Question => "question",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Permission => "/permission",
            Self::Question => "/question",
        }
    }
}

/// One open request of the turn.
pub(super) struct Open {
    kind: Kind,
    id: String,
    raw: Box<RawValue>,
}

/// What is open now.
#[derive(Default)]
pub(super) struct Requests {
    open: Vec<Open>,
    /// Entries that have another shape than requests have.
    unreadable: usize,
    /// Other sessions that were looked up, and whether they are the turn's.
    kin: Vec<(String, bool)>,
}

impl Requests {
    pub(super) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }
}

/// Reads what is open in the turn's session and those below it.
pub(super) async fn read(
    client: &BoxClient,
    who: Option<&Credential>,
    place: Place<'_>,
    prompt: &str,
    now: &Now,
    pages: &Pages<'_>,
) -> Result<Requests, Error> {
    let mut requests = Requests::default();
    if now.is_idle() {
        return Ok(requests);
    }
    let (permissions, questions) =
        join(list(client, who, place, Kind::Permission), list(client, who, place, Kind::Question))
            .await;
    for (kind, list) in [(Kind::Permission, permissions?), (Kind::Question, questions?)] {
        for raw in list {
            let is_deep = is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, raw.get().as_bytes());
            let request = serde_json::from_str(raw.get()).ok().filter(|_| !is_deep);
            let Some(Request { id, session }) = request else {
                requests.unreadable += 1;
                continue;
            };
            let is_stale =
                matches!((stamp(&id), stamp(prompt)), (Some(id), Some(prompt)) if id < prompt);
            if !is_stale && is_ours(client, who, place, &session, pages, &mut requests).await? {
                requests.open.push(Open { kind, id, raw });
            }
        }
    }
    Ok(requests)
}

async fn list(
    client: &BoxClient,
    who: Option<&Credential>,
    place: Place<'_>,
    kind: Kind,
) -> Result<Vec<Box<RawValue>>, Error> {
    let target = in_directory(kind.path(), place.directory);
    match client.read(Call::Interactions, who, &target).await?.json() {
        // A version without this kind of request.
        Err(Error::Gone) => Ok(Vec::new()),
        other => other,
    }
}

/// Whether `session` is the turn's own or one below it. The box is asked once for each.
async fn is_ours(
    client: &BoxClient,
    who: Option<&Credential>,
    place: Place<'_>,
    session: &str,
    pages: &Pages<'_>,
    requests: &mut Requests,
) -> Result<bool, Error> {
    if session == place.session.as_str() {
        return Ok(true);
    }
    let noted = requests.kin.iter().find(|(name, _)| name == session).map(|(_, ours)| *ours);
    let marked = pages.get(&format!("{KIN}{session}")).map(|value| value == "1");
    let ours = match noted.or(marked) {
        Some(known) => known,
        // The rest is looked up at the next polls.
        None if requests.kin.len() >= limits::MAX_KIN_SESSIONS => return Ok(false),
        None => is_below(client, who, place.session, session).await?,
    };
    if noted.is_none() {
        requests.kin.push((session.to_owned(), ours));
    }
    Ok(ours)
}

/// Follows the parents of `session`, to a bounded height.
async fn is_below(
    client: &BoxClient,
    who: Option<&Credential>,
    top: &SessionId,
    session: &str,
) -> Result<bool, Error> {
    let mut session = session.to_owned();
    for _ in 0..limits::MAX_SUBSESSION_DEPTH {
        let Ok(id) = SessionId::parse(&session) else {
            return Ok(false);
        };
        let reply = look_up(client, who, &id).await?;
        let parent = match reply.json::<Session<'_>>() {
            Ok(found) => found.parent,
            Err(Error::Gone) => None,
            Err(error) => return Err(error),
        };
        match parent {
            Some(parent) if parent == top.as_str() => return Ok(true),
            Some(parent) => session = parent,
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// Tells what opened and what is gone.
pub(super) fn tell(requests: &Requests, session: &SessionId, pages: &mut Pages<'_>) {
    let Requests { open, unreadable: bad, kin } = requests;
    for request in open {
        let mark = format!("{OPEN}{}/{}", request.kind.as_str(), request.id);
        if pages.get(&mark).is_none() {
            pages.event(opened(request, session), &mark, "1");
        }
    }
    for mark in pages.names(OPEN) {
        let Some((kind, id)) = mark.strip_prefix(OPEN).and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        if !open.iter().any(|request| request.kind.as_str() == kind && request.id == id) {
            pages.last_event(gone(id, kind), &mark);
        }
    }
    for mark in pages.names(KIN) {
        if !kin.iter().any(|(session, _)| mark.strip_prefix(KIN) == Some(session)) {
            pages.forget(&mark);
        }
    }
    for (session, ours) in kin {
        pages.mark(&format!("{KIN}{session}"), if *ours { "1" } else { "0" });
    }
    if *bad > 0 && pages.get("bad/request").is_none() {
        pages.event(unreadable("request to a person"), "bad/request", "1");
    }
}

fn opened(request: &Open, session: &SessionId) -> Event {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Interaction<'a> {
        id: &'a str,
        kind: &'static str,
        session_id: &'a str,
        request: &'a RawValue,
    }
    let Open { kind, id, raw } = request;
    let kind = kind.as_str();
    Event::ours(
        "interaction",
        &Interaction { id, kind, session_id: session.as_str(), request: raw },
    )
}

fn gone(id: &str, kind: &str) -> Event {
    #[derive(serde::Serialize)]
    struct Cancel<'a> {
        id: &'a str,
        kind: &'a str,
    }
    Event::ours("interaction.cancel", &Cancel { id, kind })
}
