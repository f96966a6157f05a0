//! What the scripted box holds: sessions, messages, requests to a person, by a clock of its own.
//!
//! The verbs do to the state what a real opencode 1.18 was seen to do; a test says when. Nothing
//! happens by itself: after a prompt the session stays idle until the test makes it busy, as the
//! real one does for 40 ms to over a second.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The directory that the box was started in.
pub(crate) const HOME: &str = "/work place/100%";

/// Everything the box knows. Fields are open to tests, so that they can also break it.
#[derive(Debug)]
pub(crate) struct BoxState {
    /// Milliseconds since 1970 by the box's clock; each id that is made moves it by one.
    pub(crate) now: u64,
    /// By id.
    pub(crate) sessions: BTreeMap<String, Session>,
    /// What `GET /permission` lists, with `sessionID`.
    pub(crate) permissions: Vec<Value>,
    /// What `GET /question` lists.
    pub(crate) questions: Vec<Value>,
    /// The `Authorization` that is asked for, if any; without it every call is 401.
    pub(crate) authorization: Option<String>,
    made: u64,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) directory: String,
    pub(crate) parent: Option<String>,
    /// When it was last touched. An abort does not touch it.
    pub(crate) updated: u64,
    /// As `GET /session/status` shows it; `None` is idle.
    pub(crate) status: Option<Value>,
    /// Oldest first.
    pub(crate) messages: Vec<Value>,
}

impl BoxState {
    pub(crate) fn new() -> Self {
        Self {
            now: 1_795_371_950_000,
            sessions: BTreeMap::new(),
            permissions: Vec::new(),
            questions: Vec::new(),
            authorization: None,
            made: 0,
        }
    }

    /// A fresh id in the box's shape, ordered by the box's clock.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.now += 1;
        self.made += 1;
        let stamp = (self.now * 0x1000 + 1) & 0xffff_ffff_ffff;
        format!("{prefix}_{stamp:012x}{:014}", self.made)
    }

    /// Opens a session in `directory`.
    pub(crate) fn open(&mut self, directory: &str) -> String {
        let id = self.new_id("ses");
        let session = Session {
            directory: directory.to_owned(),
            parent: None,
            updated: self.now,
            status: None,
            messages: Vec::new(),
        };
        self.sessions.insert(id.clone(), session);
        id
    }

    /// The record that `GET /session/{id}` shows.
    pub(crate) fn session_json(&self, id: &str) -> Option<Value> {
        let session = self.sessions.get(id)?;
        let mut record = json!({
            "id": id, "directory": session.directory, "title": "New session",
            "version": "1.18.33", "cost": 0,
            "time": {"created": session.updated, "updated": session.updated},
        });
        if let Some(parent) = &session.parent {
            record["parentID"] = json!(parent);
        }
        Some(record)
    }

    pub(crate) fn session(&mut self, id: &str) -> &mut Session {
        self.sessions.get_mut(id).expect("the test names a session that is there")
    }

    /// Puts a user message in, as a prompt does: the same id twice puts its parts in twice.
    pub(crate) fn user_message(&mut self, session: &str, id: &str, parts: &Value) {
        self.now += 1;
        let now = self.now;
        let mut parts = parts.as_array().cloned().unwrap_or_default();
        for part in &mut parts {
            part["id"] = json!(self.new_id("prt"));
            part["messageID"] = json!(id);
        }
        let session = self.session(session);
        session.updated = now;
        match session.messages.iter_mut().find(|message| message["info"]["id"] == id) {
            Some(message) => {
                let all = message["parts"].as_array_mut().expect("parts are a list");
                all.extend(parts);
            }
            None => session.messages.push(json!({
                "info": {"id": id, "sessionID": "s", "role": "user", "time": {"created": now},
                         "summary": {"diffs": []}},
                "parts": parts,
            })),
        }
    }

    /// The id of the newest user message.
    pub(crate) fn last_prompt(&mut self, session: &str) -> String {
        let messages = &self.session(session).messages;
        let prompt = messages.iter().rev().find(|message| message["info"]["role"] == "user");
        prompt.and_then(|message| message["info"]["id"].as_str()).expect("a prompt").to_owned()
    }

    /// The agent begins a message in answer to `parent`; the session is busy.
    pub(crate) fn begin(&mut self, session: &str, parent: &str) -> String {
        let id = self.new_id("msg");
        let created = self.now;
        let session = self.session(session);
        session.status = Some(json!({"type": "busy"}));
        session.messages.push(json!({
            "info": {"id": id, "role": "assistant", "parentID": parent,
                     "time": {"created": created}, "cost": 0.25,
                     "tokens": {"total": 18, "input": 11, "output": 7}},
            "parts": [],
        }));
        id
    }

    /// Adds a part to a message, or changes the one with the same id.
    pub(crate) fn part(&mut self, session: &str, message: &str, part: Value) {
        let parts = self.message(session, message)["parts"].as_array_mut().expect("parts");
        match parts.iter_mut().find(|old| old["id"] == part["id"]) {
            Some(old) => *old = part,
            None => parts.push(part),
        }
    }

    /// Adds or changes a text part; `closed` text has its end.
    pub(crate) fn text(
        &mut self,
        session: &str,
        message: &str,
        id: &str,
        text: &str,
        closed: bool,
    ) {
        let mut part = json!({"id": id, "type": "text", "text": text, "time": {"start": 1}});
        if closed {
            part["time"]["end"] = json!(2);
        }
        self.part(session, message, part);
    }

    /// Adds or changes a tool part. A running tool's output grows in its metadata.
    pub(crate) fn tool(&mut self, session: &str, message: &str, id: &str, status: &str, out: &str) {
        let state = match status {
            "completed" => json!({"status": status, "input": {}, "output": out,
                "metadata": {"truncated": false}, "time": {"start": 1, "end": 2}}),
            "error" => json!({"status": status, "input": {}, "error": out}),
            _ => json!({"status": status, "input": {}, "metadata": {"output": out}}),
        };
        let part = json!({"id": id, "type": "tool", "tool": "bash", "callID": "call_1",
            "state": state});
        self.part(session, message, part);
    }

    /// A message gets its end; `finish` is absent after an abort.
    pub(crate) fn complete(&mut self, session: &str, message: &str, finish: Option<&str>) {
        self.now += 1;
        let completed = self.now;
        let info = &mut self.message(session, message)["info"];
        info["time"]["completed"] = json!(completed);
        if let Some(finish) = finish {
            info["finish"] = json!(finish);
        }
    }

    /// A message gets an error and its end.
    pub(crate) fn fail(&mut self, session: &str, message: &str, name: &str, text: &str) {
        self.message(session, message)["info"]["error"] =
            json!({"name": name, "data": {"message": text, "responseBody": "{}"}});
        self.complete(session, message, None);
    }

    /// The session waits to repeat a failed call.
    pub(crate) fn retrying(&mut self, session: &str, attempt: u64, next: u64, why: &str) {
        self.session(session).status =
            Some(json!({"type": "retry", "attempt": attempt, "message": why, "next": next}));
    }

    /// Nothing runs any more.
    pub(crate) fn idle(&mut self, session: &str) {
        self.session(session).status = None;
    }

    /// Opens a permission; the status stays busy.
    pub(crate) fn ask_permission(&mut self, session: &str) -> String {
        let id = self.new_id("per");
        self.permissions.push(json!({"id": id, "sessionID": session, "permission": "bash",
            "patterns": ["touch x"], "metadata": {"command": "touch x"}}));
        id
    }

    /// Opens a question.
    pub(crate) fn ask_question(&mut self, session: &str) -> String {
        let id = self.new_id("que");
        self.questions.push(json!({"id": id, "sessionID": session,
            "questions": [{"question": "Which?", "options": []}]}));
        id
    }

    /// Somebody answered a permission or a question.
    pub(crate) fn answer(&mut self, id: &str) {
        self.permissions.retain(|request| request["id"] != id);
        self.questions.retain(|request| request["id"] != id);
    }

    /// What an abort does: the running message ends with an error, the session is idle, and open
    /// permissions stay where they are. In a retry neither error nor finish is left.
    pub(crate) fn abort(&mut self, session: &str) {
        let in_retry = self.session(session).status.as_ref().is_some_and(|s| s["type"] == "retry");
        let last = self.session(session).messages.last().cloned().unwrap_or_default();
        let runs =
            last["info"]["role"] == "assistant" && last["info"]["time"]["completed"].is_null();
        if let Some(id) = last["info"]["id"].as_str().filter(|_| runs) {
            if in_retry {
                self.complete(session, id, None);
            } else {
                self.fail(session, id, "MessageAbortedError", "Aborted");
            }
        }
        self.idle(session);
    }

    /// What `kill -9` and a restart leave: idle sessions, unfinished messages, no requests.
    pub(crate) fn kill_and_restart(&mut self) {
        for session in self.sessions.values_mut() {
            session.status = None;
        }
        self.permissions.clear();
        self.questions.clear();
    }

    /// A message of a session, to be changed at will.
    pub(crate) fn message(&mut self, session: &str, id: &str) -> &mut Value {
        let messages = &mut self.session(session).messages;
        let message = messages.iter_mut().find(|message| message["info"]["id"] == id);
        message.expect("the test names a message that is there")
    }
}
