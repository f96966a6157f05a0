//! The configuration as a value: which source counts, what is refused, what is told.

mod api;
mod boxes;
mod handed;
mod secrets;
mod tls;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use afterbay::config::{
    self, AdminAddress, Environment, Flags, Loaded, Mistakes, Origin, SessionBus,
};
use afterbay::mode::{Fidelity, Mode};
use afterbay::session::Vouching;
use afterbay::upstream::tangle::Lane;
use clap::Parser as _;
use tempfile::NamedTempFile;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

const ENOUGH: [&str; 4] = ["--box", "http://127.0.0.1:4096", "--kind", "opencode"];

fn flags(line: &[&str]) -> Flags {
    Line::try_parse_from(["afterbay"].iter().chain(line)).unwrap().flags
}

fn load<const N: usize>(
    line: &[&str],
    variables: [(&str, &str); N],
    file: Option<&Path>,
) -> Result<Loaded, Mistakes> {
    let home = Environment::of([("HOME", "/home/somebody")]);
    let environment = if N == 0 { home } else { Environment::of(variables) };
    config::load(file, &flags(line), &environment)
}

/// Loads what is enough for a start, plus `line` and `variables`.
fn with<const N: usize>(line: &[&str], variables: [(&str, &str); N]) -> Result<Loaded, Mistakes> {
    let line: Vec<_> = ENOUGH.iter().chain(line).copied().collect();
    load(&[&line[..], &["--data-dir", "/data"]].concat(), variables, None)
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

/// The mistakes as lines, without the folder that a file happens to be in.
fn told(mistakes: &Mistakes) -> Vec<String> {
    let place = |origin: &Origin| match origin {
        Origin::File(_, key) => format!("file, {key}"),
        Origin::Flag(_) | Origin::Environment(_) | Origin::Default | Origin::Whole => {
            origin.to_string()
        }
    };
    let lines = mistakes.mistakes.iter();
    lines.map(|mistake| format!("{}: {}", place(&mistake.origin), mistake.what)).collect()
}

#[track_caller]
fn check_only_mistake(loaded: Result<Loaded, Mistakes>, parts: &[&str]) {
    let lines = told(&loaded.map(|loaded| loaded.config).expect_err("a mistake"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in parts {
        assert!(lines[0].contains(part), "{part:?} is not in {lines:?}");
    }
}

#[test]
fn box_and_kind_are_enough_and_the_rest_has_its_defaults() {
    let Loaded { config, warnings } = load(&ENOUGH, [], None).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(config.boxes[0].endpoint.to_string(), "http://127.0.0.1:4096");
    assert!(config.boxes[0].credential.is_none());
    assert_eq!(config.mode, Mode::Poll);
    assert_eq!(config.data_dir, Path::new("/home/somebody/.local/state/afterbay"));
    assert_eq!(config.listen.clients, "127.0.0.1:8788".parse::<SocketAddr>().unwrap());
    let admin = "127.0.0.1:9788".parse().unwrap();
    assert_eq!(config.listen.operators, AdminAddress::Default(admin));
    assert_eq!(config.deadlines.start, Duration::from_secs(60));
    assert_eq!(config.deadlines.unreachable, Duration::from_secs(300));
    assert_eq!(config.deadlines.unauthorized, Duration::from_secs(3600));
    assert_eq!(config.deadlines.quiet, None);
    assert_eq!(config.deadlines.turn, Duration::from_secs(86_400));
    assert_eq!(config.poll.fast, Duration::from_millis(500));
    assert_eq!(config.poll.slow, Duration::from_secs(3));
    assert_eq!(config.poll.waiting, Duration::from_secs(10));
    assert_eq!(config.streams.head_wait, Duration::from_secs(2));
    assert_eq!(config.streams.heartbeat, Duration::from_secs(10));
    assert_eq!(config.streams.session_bus, SessionBus::Log);
}

#[test]
fn a_sessions_events_are_the_logs_or_the_boxs() {
    let bus = |word: &str| with(&["--session-bus", word], []);
    assert_eq!(bus("log").unwrap().config.streams.session_bus, SessionBus::Log);
    assert_eq!(bus("pass").unwrap().config.streams.session_bus, SessionBus::Pass);
    check_only_mistake(bus("box"), &["--session-bus", "`log`", "`pass`"]);
}

#[test]
fn what_is_told_and_to_whom_and_how_often_the_box_is_asked_can_be_chosen() {
    let config = |line: &[&str]| with(line, []).expect("good").config;
    let usual = config(&[]);
    assert_eq!((usual.streams.fidelity, usual.callers.readers), Default::default());
    assert_eq!((usual.poll.rate.get(), usual.poll.rate_total.get()), (50, 500));
    assert_eq!(usual.boxes[0].result_path, None);
    let path = "/agents/sessions/{id}/result";
    let other = config(&[
        "--fidelity",
        "result",
        "--readers",
        "box",
        "--poll-rate",
        "7",
        "--poll-rate-total",
        "9",
        "--result-path",
        path,
    ]);
    assert_eq!((other.streams.fidelity, other.callers.readers), (Fidelity::Result, Vouching::Box));
    assert_eq!((other.poll.rate.get(), other.poll.rate_total.get()), (7, 9));
    assert_eq!(other.boxes[0].result_path, path.parse().ok());
    assert_eq!(
        (usual.boxes[0].lane, config(&["--lane", "messages"]).boxes[0].lane),
        (Lane::Run, Lane::Messages)
    );
    for (line, parts) in [
        (["--fidelity", "some"], ["unknown fidelity `some`", "`full` or `result`"]),
        (["--readers", "all"], ["`all`", "`session` nor `box`"]),
        (["--poll-rate", "0"], ["`0`", "1 or more"]),
        (["--poll-rate-total", "fast"], ["`fast`", "1 or more"]),
        (["--lane", "fast"], ["`fast`", "`run` nor `messages`"]),
        (["--result-path", "/result"], ["`/result`", "`{id}`"]),
    ] {
        check_only_mistake(with(&line, []), &[line[0], parts[0], parts[1]]);
    }
}

#[test]
fn a_flag_wins_over_its_variable_the_variable_over_the_file_the_file_over_the_default() {
    let file = file(
        "mode = \"sse\"\n[box]\nurl = \"http://file:1\"\nkind = \"opencode\"\n[poll]\nfast = \"3s\"\n\
         slow = \"30s\"\n[server]\nhosts = [\"a.example.org\", \"b.example.org\"]\nopen = true\n",
    );
    let variables = [
        ("HOME", "/h"),
        ("AFTERBAY_BOX", "http://variable:1"),
        ("AFTERBAY_POLL_FAST", "2s"),
        ("AFTERBAY_MODE", ""),
    ];
    let loaded = load(&["--poll-fast", "1s"], variables, Some(file.path())).unwrap().config;
    assert_eq!(loaded.poll.fast, Duration::from_secs(1));
    assert_eq!(loaded.boxes[0].endpoint.to_string(), "http://variable:1");
    assert_eq!(loaded.poll.slow, Duration::from_secs(30));
    assert_eq!(loaded.poll.waiting, Duration::from_secs(10));
    assert_eq!(loaded.callers.hosts, ["a.example.org", "b.example.org"]);
    assert_eq!(loaded.mode, Mode::Sse, "an empty variable counts as absent");
}

#[test]
fn the_file_may_be_named_by_its_variable_and_the_flag_wins() {
    let (one, two) = (file("[poll]\nfast = \"1s\"\n"), file("[poll]\nfast = \"2s\"\n"));
    let variables = [("AFTERBAY_CONFIG", one.path().to_str().unwrap()), ("HOME", "/h")];
    let fast = |file| load(&ENOUGH, variables, file).unwrap().config.poll.fast;
    assert_eq!(fast(None), Duration::from_secs(1));
    assert_eq!(fast(Some(two.path())), Duration::from_secs(2));
}

#[test]
fn all_mistakes_are_told_together_each_with_its_place() {
    let file = file(
        "colour = \"red\"\n[server]\nlisten = \"nowhere\"\nlistne = \"x\"\nhosts = [1]\n\
         [poll]\nfast = 1.5\nslow = { a = 1 }\n[deadlines]\nturn = 60\n",
    );
    let line = ["--mode", "hybrid", "--heartbeat", "10ms", "--on-abandon", "shrug"];
    let variables = [("AFTERBAY_KIND", "toaster"), ("AFTERBAY_START_DEADLINE", "off")];
    let mistakes = load(&line, variables, Some(file.path())).map(drop).unwrap_err();
    let mut lines = told(&mistakes);
    lines.sort_unstable();
    let begin = [
        "--heartbeat: `10ms` is below 1s",
        "--mode: mode `hybrid` is not built yet",
        "--on-abandon: unknown action `shrug`",
        "AFTERBAY_KIND: unknown box kind `toaster`",
        "AFTERBAY_START_DEADLINE: `off` is not a duration",
        "configuration: `box` is missing; give --box, AFTERBAY_BOX or `box.url`",
        "configuration: no data folder",
        "file, colour: there is no such key",
        "file, deadlines.turn: `60` is not a duration",
        "file, poll.fast: a value here is",
        "file, poll.slow: a value here is",
        "file, server.hosts: a list here holds texts",
        "file, server.listen: `nowhere` is not an IP address with a port",
        "file, server.listne: there is no such key; [server] has admin, hosts, listen, open",
    ];
    assert_eq!(lines.len(), begin.len(), "{lines:#?}");
    for (line, begin) in lines.iter().zip(begin) {
        assert!(line.starts_with(begin), "{line:?} is not {begin:?}");
    }
}

#[test]
fn values_that_do_not_go_together_are_told() {
    let same = ["--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"];
    check_only_mistake(with(&same, []), &["`listen` and `admin` are both"]);
    let slow = ["--poll-fast", "5s", "--poll-slow", "4s"];
    check_only_mistake(with(&slow, []), &["`poll-slow` (4s) is below `poll-fast` (5s)"]);
    assert!(with(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], []).is_ok());
}

#[test]
fn modes_that_are_not_built_yet_say_so() {
    check_only_mistake(with(&["--mode", "hybrid"], []), &["--mode", "`hybrid` is not built yet"]);
    let later = with(&["--on-abandon", "cancel_after=5m"], []);
    check_only_mistake(later, &["--on-abandon", "not built yet"]);
}

#[test]
fn the_clients_variable_is_the_default_mode_and_no_more() {
    let mode = |line: &[&str], said| {
        let loaded = with(line, [("SANDBOX_STREAMING", said)]).unwrap();
        (loaded.config.mode, loaded.warnings.len())
    };
    assert_eq!(mode(&[], "poll"), (Mode::Poll, 0));
    assert_eq!(mode(&[], "sse"), (Mode::Sse, 1));
    assert_eq!(mode(&[], ""), (Mode::Poll, 0));
    for unknown in ["hybrid", "SSE", "1"] {
        assert_eq!(mode(&[], unknown), (Mode::Poll, 1), "{unknown}");
    }
    assert_eq!(mode(&["--mode", "poll"], "sse"), (Mode::Poll, 0));
    let loaded = with(&[], [("SANDBOX_STREAMING", "sse"), ("AFTERBAY_MODE", "poll")]).unwrap();
    assert_eq!((loaded.config.mode, loaded.warnings.len()), (Mode::Poll, 0));
}

#[test]
fn a_misspelt_variable_is_told_and_an_orchestrators_is_not() {
    let variables = [
        ("AFTERBAY_LISTN", "127.0.0.1:1"),
        ("AFTERBAY_PORT", "tcp://10.0.0.1:8788"),
        ("AFTERBAY_PORT_8788_TCP_ADDR", "10.0.0.1"),
        ("AFTERBAY_SERVICE_HOST", "10.0.0.1"),
        ("AFTERBAY_LISTEN_FILE", "/x"),
    ];
    let warnings = with(&[], variables).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.starts_with("AFTERBAY_LISTN is not")));
    let mistakes = load(&[], variables, None).map(drop).unwrap_err().to_string();
    assert!(mistakes.contains("note: AFTERBAY_LISTN is not"), "{mistakes}");
}

#[test]
fn a_door_beyond_this_machine_needs_a_credential_or_a_word() {
    for address in ["0.0.0.0:8788", "[::]:8788", "192.0.2.1:8788"] {
        check_only_mistake(with(&["--listen", address], []), &[address, "--open"]);
        assert!(with(&["--listen", address, "--open"], []).is_ok());
        let credential = [("AFTERBAY_BOX_CREDENTIAL", "Bearer a")];
        assert!(with(&["--listen", address], credential).is_ok());
        check_only_mistake(with(&["--listen", address, "--open=false"], []), &[address]);
    }
    assert!(with(&["--listen", "[::1]:8788"], []).is_ok());
    assert!(with(&["--listen", "127.0.0.2:8788"], []).is_ok());
}

#[test]
fn the_data_folder_follows_the_xdg_rules() {
    let folder = |variables| load(&ENOUGH, variables, None).map(|l| l.config.data_dir);
    let state = folder([("XDG_STATE_HOME", "/s"), ("HOME", "/h")]).unwrap();
    assert_eq!(state, Path::new("/s/afterbay"));
    let relative = folder([("XDG_STATE_HOME", "s"), ("HOME", "/h")]).unwrap();
    assert_eq!(relative, Path::new("/h/.local/state/afterbay"));
    let none = folder([("HOME", ""), ("AFTERBAY_MODE", "poll")]);
    check_only_mistake(
        none.map(|_| unreachable!("no folder is known")),
        &["no data folder", "HOME"],
    );
}

#[test]
fn hosts_know_the_public_urls_host() {
    let line = ["--public-url", "https://Bay.example.org/x/", "--hosts", "b.example.org"];
    let line = [&line[..], &["--hosts", "A.example.org,b.example.org"]].concat();
    let callers = with(&line, []).unwrap().config.callers;
    assert_eq!(callers.hosts, ["a.example.org", "b.example.org", "bay.example.org"]);
    assert_eq!(callers.public_url.unwrap().to_string(), "https://Bay.example.org/x");
}

#[test]
fn a_file_that_cannot_be_read_is_one_mistake_among_the_others() {
    let mistakes = load(&[], [], Some(Path::new("/does/not/exist.toml"))).map(drop).unwrap_err();
    let lines = mistakes.to_string();
    assert!(lines.contains("/does/not/exist.toml: cannot be read"), "{lines}");
    assert!(lines.contains("`box` is missing"), "{lines}");
    let torn = load(&ENOUGH, [], Some(file("\n\n[box\n").path()));
    check_only_mistake(torn, &["line 3:"]);
}

#[test]
fn readmes_table_is_the_programs() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = config::markdown();
    assert!(readme.contains(&table), "README's configuration table should read:\n\n{table}");
}
