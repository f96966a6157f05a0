//! The forms in which a client asks for what follows its last id.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;

use super::plan::Turn;
use crate::e2e::http::Request;

/// How a client comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `GET /agents/executions/{id}/events`.
    Events(Cursor),
    /// `GET /agents/run/stream?executionId=`.
    RunStream(Cursor),
    /// A path that nobody has promised, asked for events.
    AnyPath(Cursor),
    /// `POST /agents/run/stream` with `X-Execution-ID` and an empty message.
    EmptyPost(Cursor),
    /// The first POST once more.
    SamePost(Cursor),
}

/// Where the last id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cursor {
    /// In `Last-Event-ID`.
    Header,
    /// In the query.
    Query(&'static str),
    /// In a POST's body.
    Body,
    /// Nowhere: everything is to come again.
    None,
}

/// The first request of every client.
pub(super) const FIRST: Way = Way::SamePost(Cursor::None);

impl Way {
    /// Any.
    pub(super) fn random(random: &mut StdRng) -> Self {
        let kind = random.random_range(0..5);
        let is_post = kind >= 3;
        let names = ["lastEventId", "last_event_id", "after", "starting_after"];
        let cursor = match random.random_range(0..10) {
            0 => Cursor::None,
            1..4 => Cursor::Query(names[random.random_range(0..names.len())]),
            4..6 if is_post => Cursor::Body,
            _ => Cursor::Header,
        };
        match kind {
            0 => Self::Events(cursor),
            1 => Self::RunStream(cursor),
            2 => Self::AnyPath(cursor),
            3 => Self::EmptyPost(cursor),
            _ => Self::SamePost(cursor),
        }
    }

    /// Whether it is the whole POST.
    pub(super) fn is_same_post(self) -> bool {
        matches!(self, Self::SamePost(_))
    }

    /// Where it starts, if `last` is the last id that was seen.
    pub(super) fn after(self, last: u64) -> u64 {
        if self.cursor() == Cursor::None { 0 } else { last }
    }

    fn cursor(self) -> Cursor {
        match self {
            Self::Events(cursor)
            | Self::RunStream(cursor)
            | Self::AnyPath(cursor)
            | Self::EmptyPost(cursor)
            | Self::SamePost(cursor) => cursor,
        }
    }

    /// The request for what follows `last` of `turn`, which runs as `execution`.
    pub(super) fn request(self, turn: &Turn, execution: Option<&str>, last: u64) -> Request {
        let name = execution.unwrap_or_default();
        let last = (last > 0).then(|| last.to_string());
        let query = match (self.cursor(), &last) {
            (Cursor::Query(key), Some(last)) => format!("&{key}={last}"),
            _ => String::new(),
        };
        let request = match self {
            Self::Events(_) => Request::get(format!("/agents/executions/{name}/events?x{query}")),
            Self::RunStream(_) => {
                Request::get(format!("/agents/run/stream?executionId={name}{query}"))
            }
            Self::AnyPath(_) => Request::get(format!("/agents/runs/{name}/replay?x{query}"))
                .header("accept", "text/event-stream"),
            Self::EmptyPost(_) | Self::SamePost(_) => {
                let empty = json!({ "identifier": "default", "message": "" });
                let is_empty = matches!(self, Self::EmptyPost(_));
                let mut body = if is_empty { empty } else { turn.body() };
                if let (Cursor::Body, Some(last)) = (self.cursor(), &last) {
                    body["lastEventId"] = json!(last);
                }
                self.post(turn, execution, &body, &query)
            }
        };
        let in_header = last.filter(|_| self.cursor() == Cursor::Header);
        turn.dressed(request).maybe("last-event-id", in_header.as_deref())
    }

    fn post(
        self,
        turn: &Turn,
        execution: Option<&str>,
        body: &serde_json::Value,
        query: &str,
    ) -> Request {
        let path = format!("/agents/run/stream?x{query}");
        // Without names of its own a turn is only known by the one it was given.
        let needs_name = matches!(self, Self::EmptyPost(_)) || !turn.is_repeatable();
        if needs_name {
            Request::post(path, body).maybe("x-execution-id", execution)
        } else {
            turn.post(&path, body)
        }
    }
}
