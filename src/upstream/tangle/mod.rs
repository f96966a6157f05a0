//! The sandbox's sidecar as one box.
//!
//! A prompt goes out with the client's own body, byte for byte but for `detach`: detached, a run
//! goes on when its stream is dropped, and the stream is dropped as soon as it has named the turn.
//! The session that the box assigns may be another than the one that was asked for, and only that
//! one is polled.
//!
//! The box tells repeats by our ids as long as it has not been started anew, so an unanswered
//! prompt that is not found may be sent once more. Its messages are a mutable snapshot: parts
//! change in place, and a poll tells what changed since the cursor. A session's state is not a
//! turn's: it is believed only where the ids agree and the agent was seen at work.

mod api;
mod assumed;
mod boot;
mod closing;
mod detach;
mod dispatch;
mod find;
mod frame;
mod interactions;
mod message;
mod opening;
mod poll;
mod prepare;
mod prompt;
mod result;
mod status;
mod stop;
mod transcript;
mod verdict;

use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use super::client::BoxClient;
use super::result_path::ResultPath;
use super::{
    BadPrompt, Body, Bound, Depth, Dispatch, Error, Found, Page, PollCursor, Prepare, Prepared,
    Redispatch, TextHash, TurnIds, Upstream, Vouched,
};
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::mode::BoxKind;
use crate::trace::context::TraceContext;

/// What an operator may choose about this kind of box.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The way by which prompts go out.
    pub lane: Lane,
    /// Where a turn's result is read, if the box has such a route. Asked first once the session is
    /// done.
    pub result_path: Option<ResultPath>,
}

/// A way for prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lane {
    /// A detached run with the client's whole body.
    #[default]
    Run,
    /// A message put into a session that is known by name: only the prompt's parts and the turn id
    /// go out.
    Messages,
}

impl FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "run" => Ok(Self::Run),
            "messages" => Ok(Self::Messages),
            other => Err(format!("`{other}` is neither `run` nor `messages`")),
        }
    }
}

/// The adapter. It holds no state of a turn.
#[derive(Debug, Clone)]
pub struct Tangle {
    client: BoxClient,
    settings: Settings,
}

impl Tangle {
    /// The adapter for the sidecar that `client` reaches.
    #[must_use]
    pub const fn new(client: BoxClient, settings: Settings) -> Self {
        Self { client, settings }
    }
}

#[async_trait]
impl Upstream for Tangle {
    fn kind(&self) -> BoxKind {
        BoxKind::Tangle
    }

    fn within(self: Arc<Self>, trace: &TraceContext) -> Arc<dyn Upstream> {
        Arc::new(Self { client: self.client.within(trace), settings: self.settings.clone() })
    }

    /// The same ids are the same turn, as long as the box remembers them.
    fn redispatch(&self) -> Redispatch {
        Redispatch::Deduped
    }

    fn check_prompt(&self, body: &Body) -> Result<Option<TextHash>, BadPrompt> {
        let hash = prompt::text_hash(&body.bytes)?;
        detach::detached(&body.bytes)?;
        Ok(hash)
    }

    async fn prepare(&self, who: Option<&Credential>, ids: &TurnIds) -> Prepare {
        prepare::prepare(&self.client, self.settings.lane, who, ids).await
    }

    async fn dispatch(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        prepared: &Prepared,
        body: &Body,
    ) -> Dispatch {
        dispatch::dispatch(&self.client, self.settings.lane, who, ids, prepared, body).await
    }

    async fn find(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        prepared: &Prepared,
    ) -> Result<Found, Error> {
        find::find(&self.client, who, ids, prepared).await
    }

    async fn poll(
        &self,
        who: Option<&Credential>,
        turn: &Bound,
        cursor: &PollCursor,
        depth: Depth,
    ) -> Result<Page, Error> {
        let result_path = self.settings.result_path.as_ref();
        poll::poll(&self.client, result_path, who, turn, cursor, depth).await
    }

    async fn cancel(&self, who: Option<&Credential>, session: &SessionId) -> Result<(), Error> {
        stop::cancel(&self.client, who, session).await
    }

    async fn vouch(&self, who: &Credential, session: &SessionId) -> Result<Vouched, Error> {
        prepare::vouch(&self.client, who, session).await
    }
}
