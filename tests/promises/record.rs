//! The box's own record of a turn, read past the adapter: the messages behind the turn's prompt.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The agent's messages of one turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The parts of each, each part as the box writes it.
    messages: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Message {
    role: Option<String>,
    info: Option<Info>,
    parts: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Info {
    role: String,
}

impl Message {
    fn is_users(&self) -> bool {
        let role = self.info.as_ref().map(|info| &info.role).or(self.role.as_ref());
        role.expect("a message has a role") == "user"
    }
}

impl Record {
    /// What stands in `list` between the prompt that says `mark` and the next one.
    pub(super) fn of(list: &str, mark: &str) -> Self {
        let list: Vec<Message> = serde_json::from_str(list).expect("the box's messages");
        let is_prompt = |message: &Message| {
            message.is_users() && message.parts.iter().any(|part| part.get().contains(mark))
        };
        let behind = list.iter().skip_while(|message| !is_prompt(message)).skip(1);
        let ours = behind.take_while(|message| !message.is_users());
        let parts =
            |message: &Message| message.parts.iter().map(|it| it.get().to_owned()).collect();
        Self { messages: ours.map(parts).collect() }
    }

    /// Every part, as the box writes it.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().flatten().map(String::as_str)
    }

    /// The text parts of the last message, with nothing between.
    pub(super) fn final_text(&self) -> String {
        let last = self.messages.last().expect("the agent has said something");
        let parts = last.iter().map(|part| serde_json::from_str::<Value>(part).expect("a part"));
        let texts = parts.filter(|part| part["type"] == "text");
        texts.map(|part| part["text"].as_str().expect("a text").to_owned()).collect()
    }
}
