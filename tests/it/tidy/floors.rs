//! The floors: which module stands where, and that imports only go down.

use super::lexer::code_only;

pub(super) fn imports_go_down(path: &str, text: &str) -> Vec<String> {
    let Some(own) = own_module(path) else {
        return Vec::new();
    };
    let Some(own_floor) = floor(own) else {
        return vec![format!("`{own}` stands on no floor")];
    };
    let depth = path.trim_start_matches("src/").trim_end_matches(".rs").split('/').count()
        - usize::from(path.ends_with("/mod.rs"));
    let code = code_only(text);
    let mut names = names_behind("crate::", &code);
    names.extend(names_behind("afterbay::", &code));
    // In a file `depth` modules deep, that many times `super::` is the crate.
    names.extend(names_behind(&"super::".repeat(depth), &code));
    let wrong = names.into_iter().filter_map(|name| match floor(&name) {
        // A constant, a type or a function of the crate's root cannot be: the root holds modules.
        None => Some(format!("imports `{name}`, which stands on no floor")),
        Some(there) => {
            let allowed = name == own
                || match (own_floor, there) {
                    // The house beside the floors uses wire and words; only the command line
                    // uses it.
                    (Floor::House, _) => there <= Floor::Wire,
                    (_, Floor::House) => own == "cli",
                    _ => there < own_floor || there.shared_with(own_floor),
                };
            (!allowed).then(|| format!("imports `{name}` from {there:?}, being on {own_floor:?}"))
        }
    });
    wrong.collect()
}

/// The floors, lowest first. Words come in three steps of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Floor {
    Words,
    Events,
    Counters,
    Wire,
    Towers,
    Turn,
    Session,
    Door,
    /// Not above the others but beside them.
    House,
    Roof,
}

impl Floor {
    /// Whether neighbours on one floor may know each other: towers may not.
    fn shared_with(self, other: Self) -> bool {
        self == other && matches!(self, Self::Words | Self::Counters | Self::Roof)
    }
}

pub(super) fn floor(module: &str) -> Option<Floor> {
    Some(match module {
        "ids" | "credential" | "seal" | "mode" | "limits" => Floor::Words,
        "event" => Floor::Events,
        "metrics" | "tasks" | "trace" => Floor::Counters,
        "sse" => Floor::Wire,
        "log" | "upstream" => Floor::Towers,
        "turn" => Floor::Turn,
        "session" => Floor::Session,
        "http" => Floor::Door,
        "simbox" => Floor::House,
        "main" | "lib" | "cli" | "server" | "config" => Floor::Roof,
        "telemetry" | "shutdown" | "supervisor" => Floor::Roof,
        _ => return None,
    })
}

/// The top module that the file at `path` belongs to; `None` outside `src`.
pub(super) fn own_module(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    Some(below.split('/').next()?.trim_end_matches(".rs"))
}

/// The names that directly follow `prefix` in `code`; all of them for `prefix{a, b::c}`.
fn names_behind(prefix: &str, code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let behind = &code[at + prefix.len()..];
        let name = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match behind.trim_start().strip_prefix('{') {
            Some(group) => names.extend(first_names(group).into_iter().map(name)),
            None => names.push(name(behind)),
        }
    }
    names.retain(|name| !name.is_empty() && name != "super" && name != "self");
    names
}

/// What stands between the commas of an opened group, up to its end.
fn first_names(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in group.char_indices() {
        match (c, depth) {
            (',', 0) => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            ('}', 0) => {
                items.push(&group[start..at]);
                break;
            }
            ('{', _) => depth += 1,
            ('}', _) => depth -= 1,
            _ => {}
        }
    }
    items
}
