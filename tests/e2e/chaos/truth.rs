//! A turn's frames held against what the box did: nothing that it did not show, each part's
//! versions in their order and none twice, the last one there, and a verdict that has its reason.

use std::collections::HashMap;

use afterbay::simbox::{State, Text, Turn as Account};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::close_out::{CloseOut, flat};
use super::prompt::{End, Prompt};
use crate::e2e::frames::Frame;

/// What befell a turn, besides what its prompt says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circumstances {
    /// The daemon was killed in this seed.
    pub(super) kills: bool,
    /// The box crashed in this seed.
    pub(super) crash: bool,
    /// Somebody asked to stop the turn.
    pub(super) stopped: bool,
}

/// Codes of turns that nobody knows the end of.
const LOST: [&str; 2] = ["BOX_LOST", UNCONFIRMED];
const UNCONFIRMED: &str = "DISPATCH_UNCONFIRMED";

/// Complains if `frames` are not what the box did, or their verdict has no reason. Without
/// `prompt` (nobody who knows it has read the turn) the box's word alone counts.
pub(super) fn check(
    frames: &[Frame],
    account: Option<&Account>,
    prompt: Option<&Prompt>,
    around: Circumstances,
) -> Result<CloseOut, String> {
    check_opening(frames)?;
    let close_out = CloseOut::read(frames)?;
    let Some(account) = account else {
        // It never came to the box.
        let lost = match close_out.code.as_deref() {
            Some(UNCONFIRMED) => around.kills || around.crash,
            Some("BOX_LOST") => around.crash,
            _ => false,
        };
        let why = format!("the box has never heard of it: {close_out:?}");
        return if lost { Ok(close_out) } else { Err(why) };
    };
    let last = check_parts(frames, account)?;
    check_interactions(frames, account)?;
    if close_out.code.as_deref() == Some("BOX_UNAUTHORIZED") && prompt.is_none() && around.kills {
        // Nobody came back with the credential that was lost with the daemon.
        return Ok(close_out);
    }
    let is_lost = close_out.code.as_deref().is_some_and(|code| LOST.contains(&code));
    if is_lost {
        let unclear = prompt.is_none_or(|prompt| prompt.unclear > 0);
        // One that never begins may never have been told where: then it cannot be found either.
        let absent = account.state == State::NotTaken && (unclear || around.kills)
            || account.state == State::Never;
        // Where only a reaped stream told where it went, nobody can find it again.
        let hidden = prompt.is_none_or(|prompt| prompt.hides) && (unclear || around.kills);
        let absent = absent || (hidden && close_out.code.as_deref() == Some(UNCONFIRMED));
        if absent || around.crash {
            return Ok(close_out);
        }
        return Err(format!("lost without a reason: {:?}", account.state));
    }
    if around.crash && around.stopped && close_out.status == "cancelled" {
        // The box forgot the session before it could be seen how the stop went.
        return Ok(close_out);
    }
    check_verdict(&close_out, account, prompt, around)?;
    check_text(&close_out, account)?;
    check_last_versions(account, &last)?;
    Ok(close_out)
}

/// One `execution.started`, before anything that the agent did.
fn check_opening(frames: &[Frame]) -> Result<(), String> {
    let place = |name: &str| frames.iter().position(|frame| frame.event == name);
    let count = frames.iter().filter(|frame| frame.event == "execution.started").count();
    let started = place("execution.started");
    let agent = place("message.part.updated").unwrap_or(usize::MAX);
    // A turn that the box never had may be closed without having been started.
    if count > 1
        || started.is_some_and(|at| at > agent)
        || (started.is_none() && agent < usize::MAX)
    {
        return Err(format!("{count} `execution.started`, the first at {started:?}"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    part: &'a RawValue,
    delta: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    id: String,
    text: Option<String>,
}

/// What was last told of a part: its version's number among all versions, and its text.
struct Told {
    version: usize,
    text: String,
}

/// Each update is a version that the box showed, later than the one before of the same part.
fn check_parts(frames: &[Frame], account: &Account) -> Result<HashMap<String, usize>, String> {
    let mut told: HashMap<String, Told> = HashMap::new();
    for frame in frames.iter().filter(|frame| frame.event == "message.part.updated") {
        let wrong = |what: &str| format!("{what}: id {} {}", frame.id, short(frame.data_text()));
        let inner = flat(frame).to_string();
        // What stands in the frame, byte for byte, unless an envelope is around it.
        let text = if frame.data.get("part").is_some() { frame.data_text() } else { &inner };
        let update: Update<'_> = serde_json::from_str(text).map_err(|_| wrong("no part"))?;
        let part: Part = serde_json::from_str(update.part.get()).map_err(|_| wrong("no id"))?;
        let before = told.get(&part.id);
        let json = Text::of(update.part.get());
        let from = before.map_or(0, |told| told.version + 1);
        let mut later = account.versions.iter().enumerate().skip(from);
        let found = later.find(|(_, version)| version.part == part.id && version.json == json);
        let Some((version, _)) = found else {
            return Err(wrong("doubled, reordered, or never shown by the box"));
        };
        let (now, was) = (part.text.unwrap_or_default(), before.map_or("", |told| &told.text));
        let grew = now.strip_prefix(was).filter(|added| !added.is_empty());
        if update.delta.as_deref() != grew {
            return Err(wrong("a delta that is not what was added"));
        }
        told.insert(part.id, Told { version, text: now });
    }
    Ok(told.into_iter().map(|(part, told)| (part, told.version)).collect())
}

/// The last version of every part was told.
fn check_last_versions(account: &Account, told: &HashMap<String, usize>) -> Result<(), String> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (at, version) in account.versions.iter().enumerate() {
        last.insert(&version.part, at);
    }
    // A version may read like an earlier one: what it says counts, not when it was shown.
    let json = |version: &usize| account.versions.get(*version).map(|version| &version.json);
    for (part, version) in last {
        let was = told.get(part);
        if was.and_then(json) != json(&version) {
            return Err(format!("{part} ended as version {version}, last told was {was:?}"));
        }
    }
    Ok(())
}

/// Each open question once, and taken back at most once.
fn check_interactions(frames: &[Frame], account: &Account) -> Result<(), String> {
    let of = |name: &'static str| frames.iter().filter(move |frame| frame.event == name);
    let (asked, answered) = (of("interaction").count(), of("interaction.cancel").count());
    if asked > account.asked.len() || answered > asked {
        let times = account.asked.len();
        return Err(format!("asked {times} times, told {asked} times, taken back {answered}"));
    }
    for frame in of("interaction") {
        if !account.asked.iter().any(|id| frame.data_text().contains(id.as_str())) {
            return Err(format!("nobody asked {}", short(frame.data_text())));
        }
    }
    Ok(())
}

fn check_verdict(
    told: &CloseOut,
    account: &Account,
    prompt: Option<&Prompt>,
    around: Circumstances,
) -> Result<(), String> {
    let code = told.code.as_deref();
    let names_failure = prompt.is_none_or(|prompt| match prompt.end {
        // The box's own code, or ours: not everything that tells a failure tells its code.
        End::Failure(own) => code == Some(own) || code == Some("AGENT_FAILED"),
        End::Success | End::Never | End::Refused(_) => false,
    });
    let fits = match account.state {
        State::Succeeded => told.status == "success",
        State::Failed => told.status == "failed" && names_failure,
        State::Aborted => told.status == "cancelled" && around.stopped,
        State::Never => code == Some("NEVER_STARTED"),
        State::NotTaken => around.stopped && told.status == "cancelled",
        State::Lost | State::Queued | State::Running | State::Waiting => false,
    };
    let state = account.state;
    if fits { Ok(()) } else { Err(format!("the box says {state:?}, clients {:?}", told.name())) }
}

fn check_text(told: &CloseOut, account: &Account) -> Result<(), String> {
    match account.state {
        State::Succeeded | State::Failed | State::Aborted => {}
        State::Lost
        | State::NotTaken
        | State::Never
        | State::Queued
        | State::Running
        | State::Waiting => return Ok(()),
    }
    let (here, there) = (Text::of(&told.text), &account.final_text);
    let same = here == *there;
    if same { Ok(()) } else { Err(format!("finalText: {} bytes, not {}", here.len, there.len)) }
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}
