//! The `opencode` server, v1 API, as one box.
//!
//! A prompt goes out as `prompt_async` under a message id of ours; the turn is then everything
//! that the agent says in answer to that message, its continuations after a compaction included.
//! The box does not dedupe prompts, so a prompt is sent at most once, and an unanswered one is
//! looked for by its message id.
//!
//! The session's messages are a mutable snapshot: parts change in place, and a poll tells what
//! changed since the cursor. Whatever is scoped to a directory at the box is asked for with the
//! session's own: asked with another, a busy session reads idle.

mod api;
mod dispatch;
mod interactions;
mod message_id;
mod poll;
mod prepare;
mod prompt;
mod status;
mod transcript;
mod verdict;

use std::sync::Arc;

use async_trait::async_trait;

use super::client::BoxClient;
use super::{
    BadPrompt, Body, Bound, Depth, Dispatch, Error, Found, Page, PollCursor, Prepare, Prepared,
    Redispatch, TextHash, TurnIds, Upstream, Vouched,
};
use crate::credential::Credential;
use crate::ids::SessionId;
use crate::mode::BoxKind;
use crate::trace::context::TraceContext;

/// The adapter. It holds no state of a turn.
#[derive(Debug, Clone)]
pub struct Opencode {
    client: BoxClient,
}

impl Opencode {
    /// The adapter for the server that `client` reaches.
    #[must_use]
    pub const fn new(client: BoxClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Upstream for Opencode {
    fn kind(&self) -> BoxKind {
        BoxKind::Opencode
    }

    fn within(self: Arc<Self>, trace: &TraceContext) -> Arc<dyn Upstream> {
        Arc::new(Self { client: self.client.within(trace) })
    }

    /// The same message id twice puts the prompt's parts in twice.
    fn redispatch(&self) -> Redispatch {
        Redispatch::Never
    }

    /// A prompt is known again by its message id, so its text is not needed.
    fn check_prompt(&self, body: &Body) -> Result<Option<TextHash>, BadPrompt> {
        prompt::translate(&body.bytes, "msg_").map(|_| None)
    }

    async fn prepare(&self, who: Option<&Credential>, ids: &TurnIds) -> Prepare {
        prepare::prepare(&self.client, who, ids).await
    }

    async fn dispatch(
        &self,
        who: Option<&Credential>,
        ids: &TurnIds,
        prepared: &Prepared,
        body: &Body,
    ) -> Dispatch {
        dispatch::dispatch(&self.client, who, ids, prepared, body).await
    }

    async fn find(
        &self,
        who: Option<&Credential>,
        _ids: &TurnIds,
        prepared: &Prepared,
    ) -> Result<Found, Error> {
        dispatch::find(&self.client, who, prepared).await
    }

    async fn poll(
        &self,
        who: Option<&Credential>,
        turn: &Bound,
        cursor: &PollCursor,
        depth: Depth,
    ) -> Result<Page, Error> {
        poll::poll(&self.client, who, turn, cursor, depth).await
    }

    async fn cancel(&self, who: Option<&Credential>, session: &SessionId) -> Result<(), Error> {
        dispatch::cancel(&self.client, who, session).await
    }

    async fn vouch(&self, who: &Credential, session: &SessionId) -> Result<Vouched, Error> {
        prepare::vouch(&self.client, who, session).await
    }
}

/// `/path?directory=…`, so that the box looks where the session is.
fn in_directory(path: &str, directory: &str) -> String {
    let mut target = format!("{path}?directory=");
    for byte in directory.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            target.push(char::from(byte));
        } else {
            target.push_str(&format!("%{byte:02X}"));
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_query_value_whatever_it_holds() {
        assert_eq!(
            in_directory("/p", "/a b&c=d?e#f%é"),
            "/p?directory=/a%20b%26c%3Dd%3Fe%23f%25%C3%A9"
        );
    }
}
