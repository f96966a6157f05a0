//! The agent: one small task per turn that makes the plan's changes at the plan's pace.
//!
//! It ends with its boot, without a word, or on an abort; else it comes to its end. Every step is
//! shown in the session, told on the stream and noted in the account without a wait between.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Simbox;
use super::account::State;
use super::content::{Author, Change, Shown, changes};
use super::faults::{Faults, Wait, WaitFor};
use super::memory::Execution;
use super::messages::Message;
use super::session::{Ending, Finish, Outcome, Phase};
use crate::event::Event;

/// Runs the agent of `execution` to its end.
pub(super) async fn run(simbox: Simbox, execution: Arc<Execution>) {
    let agent = Agent { simbox: &simbox, execution: &execution };
    // Dropping the work between two steps leaves what was shown so far, as a real agent does.
    let ending = tokio::select! {
        biased;
        () = execution.boot.cancelled() => return,
        () = execution.abort.cancelled() => Ending::Aborted,
        ending = agent.work() => ending,
    };
    agent.end(ending);
}

struct Agent<'a> {
    simbox: &'a Simbox,
    execution: &'a Arc<Execution>,
}

impl Agent<'_> {
    fn plan(&self) -> &Faults {
        &self.execution.plan
    }

    async fn work(&self) -> Ending {
        pause(self.plan().start).await;
        let author = self.begin();
        let changes = changes(self.plan());
        let (before, after) = changes.split_at(changes.len() / 2);
        self.make(&author, before).await;
        pause(self.plan().quiet).await;
        self.wait_for_a_person().await;
        self.make(&author, after).await;
        let code = self.plan().fail.as_ref();
        code.map_or(Ending::Success, |code| Ending::Failure(code.to_string()))
    }

    async fn make(&self, author: &Author, changes: &[Change]) {
        for change in changes {
            pause(self.plan().step).await;
            self.show(author, &author.show(*change));
        }
    }

    fn begin(&self) -> Author {
        let Execution { id, session, turn_id, no, plan, .. } = &**self.execution;
        let (grow, rewrite) = (plan.grow.unwrap_or(1).max(1), plan.rewrite);
        let mut author =
            Author { session: session.clone(), execution: id.clone(), run: 0, grow, rewrite };
        self.simbox.memory().change(self.execution, |session| {
            author.run = self.simbox.ledger().ran(*no);
            session.messages.push(Message {
                id: author.message(),
                role: "assistant",
                status: "running",
                interrupted: false,
                turn_id: turn_id.clone(),
                parts: Vec::new(),
            });
            session.newest_is(Phase::Running);
        });
        let ids = json!({ "executionId": id, "sessionId": session });
        self.tell("start", &ids);
        self.tell("execution.started", &ids);
        author
    }

    fn show(&self, author: &Author, shown: &Shown) {
        let visible = self.simbox.memory().change(self.execution, |session| {
            session.put(shown);
            self.simbox.ledger().shows(self.execution.no, author.run, &shown.id, &shown.json);
        });
        if visible.is_none() {
            return;
        }
        let part: Result<&RawValue, _> = serde_json::from_str(&shown.json);
        if let Ok(part) = part {
            self.tell("message.part.updated", &PartUpdated { part, delta: shown.delta.as_deref() });
        }
    }

    async fn wait_for_a_person(&self) {
        let Some(wait) = self.plan().wait else {
            return;
        };
        let what = self.plan().wait_for.unwrap_or(WaitFor::Question).name();
        let interaction = format!("int_{}", self.execution.id);
        let waiting = Phase::Waiting { interaction: interaction.clone() };
        self.simbox.memory().change(self.execution, |session| {
            session.newest_is(waiting);
            self.simbox.ledger().asked(self.execution.no, &interaction);
        });
        let told = json!({ "id": interaction, "type": what, "question": "May I go on?" });
        self.tell("interaction", &told);
        // Dropping either wait loses nothing: an answer stays given.
        tokio::select! {
            () = self.execution.answered.cancelled() => {}
            () = until(wait) => {}
        }
        self.simbox.memory().change(self.execution, |session| {
            session.newest_is(Phase::Running);
            self.simbox.ledger().is_now(self.execution.no, State::Running);
        });
        self.tell("interaction.cancel", &json!({ "id": interaction }));
    }

    fn end(&self, ending: Ending) {
        let state = match ending {
            Ending::Success => State::Succeeded,
            Ending::Failure(_) => State::Failed,
            Ending::Aborted => State::Aborted,
        };
        let outcome = self.simbox.memory().change(self.execution, |session| {
            let outcome = session.end(&self.execution.id, ending);
            self.simbox.ledger().ended(self.execution.no, state, &outcome.text);
            outcome
        });
        let Some(outcome) = outcome else {
            return;
        };
        self.tell_the_end(&outcome);
        self.execution.buffer.close();
    }

    fn tell_the_end(&self, outcome: &Outcome) {
        let Execution { id, session, .. } = &**self.execution;
        if let Some((code, message)) = outcome.ending.code().zip(outcome.ending.message()) {
            self.tell("error", &json!({ "message": message, "code": code }));
        }
        self.tell("session.idle", &json!({ "sessionId": session }));
        let usage = json!({ "inputTokens": 1, "outputTokens": outcome.text.len() / 4 });
        let metadata = json!({ "sessionId": session });
        self.tell("result", &ResultOf { finish: outcome.result(), usage, metadata });
        let status = outcome.ending.status();
        self.tell("done", &json!({ "status": status, "sessionId": session, "executionId": id }));
    }

    fn tell<T: serde::Serialize>(&self, name: &'static str, properties: &T) {
        let event = if self.plan().enveloped {
            Event::ours(name, &Envelope { r#type: name, properties })
        } else {
            Event::ours(name, properties)
        };
        self.execution.buffer.push(&event);
    }
}

#[derive(serde::Serialize)]
struct PartUpdated<'a> {
    part: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
}

#[derive(serde::Serialize)]
struct ResultOf<'a> {
    #[serde(flatten)]
    finish: Finish<'a>,
    usage: Value,
    metadata: Value,
}

#[derive(serde::Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    properties: &'a T,
}

async fn pause(time: Option<Duration>) {
    if let Some(time) = time {
        tokio::time::sleep(time).await;
    }
}

async fn until(wait: Wait) {
    match wait {
        Wait::Until(time) => tokio::time::sleep(time).await,
        Wait::Answered => std::future::pending().await,
    }
}

impl super::session::Session {
    fn newest_is(&mut self, phase: Phase) {
        if let Some(newest) = &mut self.newest {
            newest.phase = phase;
        }
    }

    /// Ends the newest turn, which is `execution`.
    fn end(&mut self, execution: &str, ending: Ending) -> Outcome {
        // An agent that never began has written nothing: the last message is the prompt.
        let began = self.messages.last().is_some_and(|message| message.role == "assistant");
        let text = if began { self.text() } else { String::new() };
        if let Some(message) = self.messages.last_mut().filter(|_| began) {
            message.interrupted = ending == Ending::Aborted;
            message.status = match ending {
                Ending::Success => "completed",
                Ending::Failure(_) => "failed",
                Ending::Aborted => "aborted",
            };
        }
        let outcome = Outcome { ending, text: text.into() };
        self.outcomes.insert(execution.to_owned(), outcome.clone());
        let at = tokio::time::Instant::now();
        self.newest_is(Phase::Ended { outcome: outcome.clone(), at });
        outcome
    }
}
