//! What a prompt asks of the fake model: words in brackets, obeyed in order.
//!
//! `[turn-7]` names the turn · `[words=40 pace=20ms]` says forty words · `[quiet=5s]` says
//! nothing for a while · `[gate=a]` says nothing until the test opens `a` · `[big=100k]` says one
//! long word · `[tool=bash:echo hi]` calls a tool and goes on after its result · `[fail=400]`
//! answers with that status, `[fail=500x2]` twice and then no more.

use std::time::Duration;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Say this many words, one each `pace`.
    Words { count: usize, pace: Duration },
    /// Say one word of so many bytes.
    Big(usize),
    /// Say nothing for a while.
    Quiet(Duration),
    /// Say nothing until the test opens this gate.
    Gate(String),
    /// Call `bash` with this command; the next model call goes on after it.
    Tool(String),
    /// Refuse with this status, so many times.
    Fail { status: u16, times: usize },
}

/// A prompt, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// The turn's name, `turn-<n>`; empty if the prompt names none.
    pub(crate) marker: String,
    /// What to do, over all model calls of the turn.
    pub(crate) acts: Vec<Act>,
}

impl Script {
    /// Reads the brackets of `prompt`; other text is ignored.
    pub(crate) fn parse(prompt: &str) -> Self {
        let mut script = Self { marker: String::new(), acts: Vec::new() };
        for piece in prompt.split('[').skip(1) {
            let Some((inside, _)) = piece.split_once(']') else {
                continue;
            };
            if inside.starts_with("turn-") {
                inside.clone_into(&mut script.marker);
            } else if let Some(command) = inside.strip_prefix("tool=bash:") {
                script.acts.push(Act::Tool(command.to_owned()));
            } else {
                script.acts.extend(act(inside));
            }
        }
        script
    }

    /// The acts of the model call that follows `results` tool results.
    pub(crate) fn call(&self, results: usize) -> Vec<Act> {
        let is_tool = |act: &Act| matches!(act, Act::Tool(_));
        let mut calls = self.acts.split_inclusive(is_tool);
        calls.nth(results).map(<[Act]>::to_vec).unwrap_or_default()
    }
}

/// Reads `words=40 pace=20ms` and its like.
fn act(inside: &str) -> Option<Act> {
    let value =
        |key: &str| inside.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    if let Some(count) = value("words") {
        let pace = value("pace").map_or(Duration::ZERO, duration);
        return Some(Act::Words { count: count.parse().expect("words=<number>"), pace });
    }
    if let Some(size) = value("big") {
        let kilo = size.strip_suffix('k').expect("big=<number>k");
        return Some(Act::Big(kilo.parse::<usize>().expect("big=<number>k") << 10));
    }
    if let Some(fail) = value("fail") {
        let (status, times) = fail.split_once('x').unwrap_or((fail, "1000"));
        let status = status.parse().expect("fail=<status>");
        return Some(Act::Fail { status, times: times.parse().expect("fail=<status>x<times>") });
    }
    let quiet = value("quiet").map(|text| Act::Quiet(duration(text)));
    quiet.or_else(|| value("gate").map(|name| Act::Gate(name.to_owned())))
}

/// Reads `20ms` or `5s`.
fn duration(text: &str) -> Duration {
    if let Some(millis) = text.strip_suffix("ms") {
        return Duration::from_millis(millis.parse().expect("<number>ms"));
    }
    let seconds = text.strip_suffix('s').expect("a duration ends in ms or s");
    Duration::from_secs(seconds.parse().expect("<number>s"))
}

#[test]
fn a_script_is_cut_into_model_calls_after_each_tool() {
    let script = Script::parse("do [turn-3] [words=2] [tool=bash:echo hi] x [quiet=5s] [big=1k]");
    assert_eq!(script.marker, "turn-3");
    let words = Act::Words { count: 2, pace: Duration::ZERO };
    assert_eq!(script.call(0), [words, Act::Tool("echo hi".into())]);
    assert_eq!(script.call(1), [Act::Quiet(Duration::from_secs(5)), Act::Big(1024)]);
    assert_eq!(script.call(2), []);
}
