//! Keeps the floors and the house rules that neither the compiler nor the linter keeps.
//!
//! Each rule is a function from a file's path and text to complaints. One test walks the tree with
//! all of them; others show each rule a broken sample, so that a rule that sees nothing is itself
//! a failure. Rules look at code without comments and strings, unless they say otherwise.

mod floors;
mod foreign;
mod house_rules;
mod lexer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use floors::imports_go_down;
use foreign::{foreign_hosts, foreign_words};
use house_rules::{
    LONG_FOR_A_REASON, LONGEST, anyhow_stays_in_the_roof, bounds_are_in_limits,
    environment_is_read_once, has_a_job, has_module_docs, is_short, no_globals, no_macros,
    queues_are_bounded,
};

type Rule = fn(&str, &str) -> Vec<String>;

const RULES: [(&str, Rule); 10] = [
    ("a file imports from floors below its own", imports_go_down),
    ("a file says what it is for", has_module_docs),
    ("a file has a name that says its job", has_a_job),
    ("a file is short, or its length has a reason", is_short),
    ("anyhow stays in the roof", anyhow_stays_in_the_roof),
    ("only the configuration reads the environment", environment_is_read_once),
    ("there are no globals below the roof", no_globals),
    ("every queue has a bound", queues_are_bounded),
    ("there are no macros of our own", no_macros),
    ("every bound is in limits", bounds_are_in_limits),
];

#[test]
fn every_source_file_keeps_the_rules() {
    let sources = files_below("src").into_iter().chain(files_below("tests"));
    // What was built beside the fuzz targets is not ours.
    let sources = sources.filter(|path| !path.starts_with("tests/fuzz/target/"));
    let sources: Vec<_> = sources.filter(|path| path.ends_with(".rs")).collect();
    assert!(sources.len() > 20, "the walk has lost its way: {sources:?}");
    let mut complaints = Vec::new();
    for path in &sources {
        let text = fs::read_to_string(root().join(path)).unwrap();
        for (name, rule) in RULES {
            let found = rule(path, &text).into_iter();
            complaints.extend(found.map(|what| format!("{path}: {what}   [{name}]")));
        }
    }
    let stale = LONG_FOR_A_REASON.iter().filter(|(path, _)| !sources.iter().any(|s| s == path));
    complaints.extend(stale.map(|(path, _)| format!("{path}: excused, but not there")));
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn no_tracked_file_speaks_of_another_place() {
    let mut complaints = Vec::new();
    for path in tracked() {
        let Ok(bytes) = fs::read(root().join(&path)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let found = foreign_words(&text).into_iter().chain(foreign_hosts(&text));
        complaints.extend(found.map(|what| format!("{path}: {what}")));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The rule (a part of its name), a path, and a text that breaks the rule there.
#[rustfmt::skip]
const BROKEN: [(&str, &str, &str); 38] = [
    ("imports", "src/log/writer.rs", "use crate::turn::Machine;"),
    ("imports", "src/log/writer.rs", "use crate::upstream::Error;"),
    ("imports", "src/upstream/client.rs", "use crate::log::Error;"),
    ("imports", "src/turn/machine.rs", "use crate::{ids, http::Router};"),
    ("imports", "src/turn/machine.rs", "fn f() { crate::session::open() }"),
    ("imports", "src/turn/machine.rs", "use super::super::session::Session;"),
    ("imports", "src/turn/mod.rs", "use super::session::Session;"),
    ("imports", "src/event.rs", "use crate::tasks::Tasks;"),
    ("imports", "src/ids.rs", "use crate::event::Seq;"),
    ("imports", "src/sse/frame.rs", "use afterbay::log::Log;"),
    ("imports", "src/http/mod.rs", "use crate::{\n    config::{Config, Flags},\n};"),
    ("imports", "src/attic/mod.rs", "use crate::ids;"),
    ("imports", "src/simbox/agent.rs", "use crate::upstream::Error;"),
    ("imports", "src/simbox/agent.rs", "use crate::log::Log;"),
    ("imports", "src/simbox/agent.rs", "use crate::config::Config;"),
    ("imports", "src/server/mod.rs", "use crate::simbox::Simbox;"),
    ("imports", "src/http/mod.rs", "use crate::simbox::Simbox;"),
    ("imports", "src/ids.rs", "use crate::attic::Box;"),
    ("says what", "src/ids.rs", "// For.\n"),
    ("name", "src/turn/utils.rs", "//! For.\n"),
    ("name", "src/common/ids.rs", "//! For.\n"),
    ("name", "src/log/types.rs", "//! For.\n"),
    ("name", "src/helpers.rs", "//! For.\n"),
    ("anyhow", "src/http/mod.rs", "fn f() -> anyhow::Result<()>"),
    ("environment", "src/log/dir.rs", "let a = std::env::var(\"A\");"),
    ("environment", "src/cli/serve.rs", "let a = std::env::vars_os();"),
    ("environment", "src/cli/serve.rs", "use std::env;\nlet a = env::var(\"A\");"),
    ("globals", "src/turn/mod.rs", "static A: u8 = 1;"),
    ("globals", "src/turn/mod.rs", "pub(crate) static mut A: u8 = 1;"),
    ("globals", "src/turn/mod.rs", "const A: OnceLock<u8> = OnceLock::new();"),
    ("globals", "src/turn/mod.rs", "thread_local! { }"),
    ("every queue", "src/turn/mod.rs", "let (a, b) = mpsc::unbounded_channel();"),
    ("every queue", "src/server/mod.rs", "let (a, b) = std::sync::mpsc::channel();"),
    ("macros", "src/turn/mod.rs", "macro_rules! a { }"),
    ("in limits", "src/turn/mod.rs", "pub const MAX_TURNS: usize = 1;"),
    ("in limits", "src/turn/mod.rs", "pub(crate) const MIN_PAUSE: u8 = 1;"),
    ("in limits", "src/turn/mod.rs", "    const READ_TIMEOUT: Duration = A;"),
    ("in limits", "src/turn/mod.rs", "const START_DEADLINE: Duration = A;"),
];

#[test]
fn each_rule_sees_a_broken_sample_and_passes_a_sound_one() {
    let long = format!("//! For.\n{}", "fn f() {}\n".repeat(LONGEST));
    let long = ("short", "src/turn/machine.rs", long.as_str());
    for (rule, path, text) in BROKEN.into_iter().chain([long]) {
        let mut named = RULES.iter().filter(|(name, _)| name.contains(rule));
        let (Some((_, rule)), None) = (named.next(), named.next()) else {
            panic!("{rule:?} does not name one rule");
        };
        assert!(!rule(path, text).is_empty(), "unseen in {path}: {text}");
    }
    let sound = "//! Like `crate::http`, `static`, anyhow and std::env::var(), but only in words.\n\
        use crate::{ids::Id, log::Error, upstream};\n\
        use http::Uri;\n\
        /* crate::session */ fn f<'a>(a: &'static str) -> &'a str { \"crate::http::A macro_rules!\" }\n\
        let (a, b) = mpsc::channel(limits::MAX_TURNS);\n";
    for (name, rule) in RULES {
        assert_eq!(rule("src/turn/machine.rs", sound), [""; 0], "{name}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Paths below `folder`, relative to the root, with `/` between their parts.
fn files_below(folder: &str) -> Vec<String> {
    let mut open = vec![PathBuf::from(folder)];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if root().join(&path).is_dir() {
            let entries = fs::read_dir(root().join(&path)).unwrap();
            open.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        } else {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found.sort_unstable();
    found
}

/// The files under version control; those of the source tree where there is none.
fn tracked() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    match listed {
        Ok(listed) if listed.status.success() && !listed.stdout.is_empty() => {
            let names = String::from_utf8(listed.stdout).unwrap();
            names.split_terminator('\0').map(str::to_owned).collect()
        }
        Ok(_) | Err(_) => ["src", "tests", "deploy", "README.md", "Cargo.toml"]
            .into_iter()
            .flat_map(files_below)
            .collect(),
    }
}
