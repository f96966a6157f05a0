//! The house rules of one file each: names, lengths, globals, queues, bounds.

use super::floors::{Floor, floor, own_module};
use super::lexer::code_only;

/// Files that may be longer than [`LONGEST`] lines, each with the reason.
pub(super) const LONG_FOR_A_REASON: [(&str, &str); 7] = [
    ("tests/it/machine.rs", "one table for each rule of the machine, to be read beside each other"),
    ("src/limits.rs", "one table of every bound with its reason"),
    ("tests/it/doors.rs", "one request for each rule of the doors"),
    ("tests/it/support/scripted_box.rs", "the routes of a box and what goes wrong on each"),
    ("src/http/stream_tests.rs", "one script for each rule of a stream"),
    ("tests/it/support/faulty_disk.rs", "the disk and its ways to lose what was not synced"),
    (
        "src/http/error.rs",
        "one total match from every error to what a client is told, with its table",
    ),
];

pub(super) const LONGEST: usize = 400;

pub(super) fn has_module_docs(_: &str, text: &str) -> Vec<String> {
    let says = text.starts_with("//! ");
    if says { Vec::new() } else { vec!["does not begin with `//!`".to_owned()] }
}

pub(super) fn has_a_job(path: &str, _: &str) -> Vec<String> {
    let parts = path.trim_end_matches(".rs").split('/');
    let jobless = ["util", "utils", "helper", "helpers", "common", "types", "misc"];
    parts.filter(|part| jobless.contains(part)).map(|part| format!("`{part}` is no job")).collect()
}

pub(super) fn is_short(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let excused = LONG_FOR_A_REASON.iter().any(|(long, _)| *long == path);
    if lines <= LONGEST || excused { Vec::new() } else { vec![format!("has {lines} lines")] }
}

fn below_the_roof(path: &str) -> bool {
    own_module(path).is_some_and(|module| floor(module) != Some(Floor::Roof))
}

/// Complains of each of `words` in `text`'s code.
fn without(text: &str, words: &[&str]) -> Vec<String> {
    let code = code_only(text);
    words.iter().filter(|word| code.contains(**word)).map(|word| format!("has `{word}`")).collect()
}

pub(super) fn anyhow_stays_in_the_roof(path: &str, text: &str) -> Vec<String> {
    if below_the_roof(path) { without(text, &["anyhow"]) } else { Vec::new() }
}

pub(super) fn environment_is_read_once(path: &str, text: &str) -> Vec<String> {
    let reader = path == "src/config/environment.rs" || own_module(path).is_none();
    if reader { Vec::new() } else { without(text, &["env::var", "std::env;", "dotenv"]) }
}

pub(super) fn no_globals(path: &str, text: &str) -> Vec<String> {
    if !below_the_roof(path) {
        return Vec::new();
    }
    let code = code_only(text);
    let statics = code.match_indices("static ").filter(|(at, _)| {
        let before = code[..*at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace())
    });
    let mut found: Vec<_> = statics.map(|_| "has a `static`".to_owned()).collect();
    let lazies = ["lazy_static", "OnceLock", "LazyLock", "OnceCell", "LazyCell", "thread_local!"];
    found.extend(without(text, &lazies));
    found
}

pub(super) fn queues_are_bounded(path: &str, text: &str) -> Vec<String> {
    if own_module(path).is_none() {
        return Vec::new();
    }
    without(text, &["unbounded_channel", "unbounded()", "unbounded_send", "mpsc::channel()"])
}

pub(super) fn no_macros(_: &str, text: &str) -> Vec<String> {
    without(text, &["macro_rules!"])
}

pub(super) fn bounds_are_in_limits(path: &str, text: &str) -> Vec<String> {
    if path == "src/limits.rs" || own_module(path).is_none() {
        return Vec::new();
    }
    let code = code_only(text);
    let names = code.lines().filter_map(|line| {
        let (before, after) = line.split_once("const ")?;
        let declares = before.trim().is_empty() || before.trim().starts_with("pub");
        after.split(':').next().filter(|_| declares)
    });
    let bound = |name: &&str| {
        ["MAX_", "MIN_"].iter().any(|start| name.starts_with(start))
            || ["_TIMEOUT", "_DEADLINE", "_GRACE"].iter().any(|end| name.ends_with(end))
    };
    names.filter(bound).map(|name| format!("`{name}` is a bound")).collect()
}
