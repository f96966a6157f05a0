//! The turn machine from outside: tables of inputs to actions, and any order of inputs at all.

use std::time::Duration;

use afterbay::mode::{Outcome, Phase};
use afterbay::turn::Deadlines;
use afterbay::turn::machine::{Action, Failure, Input, Machine, ResumePoint, Seen, Stage};
use afterbay::turn::verdict::{Code, Verdict, Withdrawal};
use afterbay::upstream::{Activity, Boot, Ending, Redispatch};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use tokio::time::Instant;

/// One line of a table: at this second, this input.
type Line = (u64, Input);

fn deadlines() -> Deadlines {
    Deadlines {
        start: secs(60),
        redispatch: secs(2),
        unreachable: secs(300),
        unauthorized: secs(3600),
        quiet: Some(secs(1000)),
        turn: secs(86_400),
        lost: secs(15),
    }
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What the machine says to each line, in short words.
fn run(machine: &mut Machine, start: Instant, lines: &[Line]) -> Vec<String> {
    let mut said = vec![word(&machine.begin(start))];
    for (at, input) in lines {
        said.push(word(&machine.step(start + secs(*at), input.clone())));
    }
    said
}

fn word(action: &Action) -> String {
    match action {
        Action::Prepare => "prepare".into(),
        Action::Dispatch => "dispatch".into(),
        Action::Find => "find".into(),
        Action::Redispatch => "dispatch again".into(),
        Action::Poll(_) => "poll".into(),
        Action::CancelAtBox => "stop box".into(),
        Action::Pause { pace, .. } => format!("pause {pace:?}"),
        Action::Await(_) => "await".into(),
        Action::Finish { verdict, stop_box } => {
            let code = verdict.code().map_or("none", |code| code.as_str());
            let also = if *stop_box { " and stop box" } else { "" };
            format!("finish {} {code}{also}", verdict.outcome())
        }
        Action::Withdraw(why) => format!("withdraw {}", why.code()),
        Action::Stop => "stop".into(),
    }
}

#[track_caller]
fn check(lines: &[Line], said: &[&str]) {
    let start = Instant::now();
    assert_eq!(run(&mut Machine::new(start, deadlines()), start, lines), said);
}

#[track_caller]
fn check_resumed(point: &ResumePoint, lines: &[Line], said: &[&str]) {
    let start = Instant::now();
    assert_eq!(run(&mut Machine::resumed(start, deadlines(), point), start, lines), said);
}

fn seen(activity: Activity, started: bool) -> Input {
    Input::Polled(Seen { activity, started, ending: None, changed: false })
}

fn ended(activity: Activity, ending: Ending) -> Input {
    Input::Polled(Seen { activity, started: true, ending: Some(ending), changed: true })
}

fn running() -> Vec<Line> {
    vec![(0, Input::Prepared), (0, Input::Dispatched(None))]
}

fn after(more: impl IntoIterator<Item = Line>) -> Vec<Line> {
    running().into_iter().chain(more).collect()
}

fn point(stage: Stage, ago: u64) -> ResumePoint {
    let (accepted_ago, stage_ago) = (secs(ago), secs(ago));
    ResumePoint { stage, accepted_ago, stage_ago, cancel_asked: false, repeated: false }
}

#[test]
fn a_turn_is_prepared_dispatched_polled_drained_and_finished() {
    let lines = after([
        (1, seen(Activity::Idle, false)),
        (2, seen(Activity::Busy, true)),
        (3, ended(Activity::Idle, Ending::Completed)),
        (3, ended(Activity::Idle, Ending::Completed)),
    ]);
    check(
        &lines,
        &[
            "prepare",
            "dispatch",
            "poll",
            "pause Active",
            "pause Quiet",
            "poll",
            "finish completed none",
        ],
    );
}

#[test]
fn idle_before_busy_is_no_end() {
    let lines = after([(0, seen(Activity::Idle, false)), (59, seen(Activity::Idle, false))]);
    check(&lines, &["prepare", "dispatch", "poll", "pause Active", "pause Active"]);
}

#[test]
fn an_agent_that_never_begins_is_never_started_at_the_deadline() {
    let lines = after([(1, seen(Activity::Idle, false)), (60, seen(Activity::Idle, false))]);
    let said = ["prepare", "dispatch", "poll", "pause Active", "finish failed NEVER_STARTED"];
    check(&lines, &said);
}

#[test]
fn idle_with_an_unfinished_answer_is_lost_only_after_the_grace() {
    let lines = after([
        (1, seen(Activity::Busy, true)),
        (2, seen(Activity::Idle, true)),
        (16, seen(Activity::Idle, true)),
        (17, seen(Activity::Idle, true)),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Quiet",
        "pause Active",
        "pause Active",
        "finish failed BOX_LOST",
    ];
    check(&lines, &said);
}

#[test]
fn work_in_between_takes_the_grace_back() {
    let lines = after([
        (2, seen(Activity::Idle, true)),
        (10, seen(Activity::Busy, true)),
        (20, seen(Activity::Idle, true)),
        (30, seen(Activity::Idle, true)),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Active",
        "pause Quiet",
        "pause Active",
        "pause Active",
    ];
    check(&lines, &said);
}

#[test]
fn a_session_that_the_box_forgot_is_lost_even_if_the_agent_was_never_seen() {
    let lines = after([(1, seen(Activity::Gone, false)), (16, seen(Activity::Gone, false))]);
    let said = ["prepare", "dispatch", "poll", "pause Active", "finish failed BOX_LOST"];
    check(&lines, &said);
}

#[test]
fn a_session_that_is_forgotten_when_the_start_deadline_passes_is_lost_not_never_started() {
    let lines = after([(58, seen(Activity::Gone, false)), (61, seen(Activity::Gone, false))]);
    check(&lines, &["prepare", "dispatch", "poll", "pause Active", "finish failed BOX_LOST"]);
}

#[test]
fn a_complete_answer_does_not_wait_for_ever_for_a_box_that_lingers_busy() {
    let lines = after([
        (1, ended(Activity::Busy, Ending::Completed)),
        (10, ended(Activity::Busy, Ending::Completed)),
        (11, ended(Activity::Busy, Ending::Completed)),
    ]);
    let said =
        ["prepare", "dispatch", "poll", "pause Active", "pause Active", "finish completed none"];
    check(&lines, &said);
}

#[test]
fn a_failure_of_the_agent_keeps_the_boxs_code() {
    let failed = Ending::Failed { code: "API_ERROR".into(), message: "no".into() };
    let lines =
        after([(1, ended(Activity::Idle, failed.clone())), (1, ended(Activity::Idle, failed))]);
    check(&lines, &["prepare", "dispatch", "poll", "poll", "finish failed API_ERROR"]);
}

#[test]
fn a_prompt_that_did_not_leave_is_sent_again() {
    let lines = [(0, Input::Prepared), (0, Input::NotSent), (1, Input::Tick)];
    check(&lines, &["prepare", "dispatch", "pause Failing", "dispatch"]);
}

#[test]
fn a_prompt_that_may_have_left_is_looked_for_and_never_sent_again() {
    let lines = [
        (0, Input::Prepared),
        (5, Input::Unanswered),
        (6, Input::Absent(Boot::Unknown)),
        (7, Input::Tick),
        (60, Input::Absent(Boot::Unknown)),
    ];
    let said = [
        "prepare",
        "dispatch",
        "find",
        "pause Active",
        "find",
        "finish failed DISPATCH_UNCONFIRMED",
    ];
    check(&lines, &said);
}

/// A turn on a box that tells repeats.
#[track_caller]
fn check_deduped(lines: &[Line], said: &str) {
    let start = Instant::now();
    let mut machine = Machine::new(start, deadlines()).with_redispatch(Redispatch::Deduped);
    assert_eq!(run(&mut machine, start, lines).join(", "), said);
}

#[test]
fn a_prompt_that_is_not_found_is_sent_once_more_after_a_grace_to_a_box_that_tells_repeats() {
    let absent = |at| (at, Input::Absent(Boot::Same));
    let sent = [(0, Input::Prepared), (5, Input::Unanswered), absent(6), (6, Input::Tick)];
    let so_far = "prepare, dispatch, find, pause Active, find, dispatch again";
    for (answer, then) in [
        (Input::Dispatched(None), "poll, pause Quiet"),
        (Input::Unanswered, "find, pause Active"),
        (Input::Refused, "pause Active, pause Active"),
        (Input::NotSent, "pause Failing, pause Active"),
        (Input::Failed(Failure::Later(None)), "pause Failing, pause Active"),
    ] {
        let next = if answer == Input::Dispatched(None) {
            (9, seen(Activity::Busy, true))
        } else {
            absent(9)
        };
        let lines: Vec<_> = sent.iter().cloned().chain([absent(7), (8, answer), next]).collect();
        check_deduped(&lines, &format!("{so_far}, {then}"));
    }
}

#[test]
fn a_prompt_is_not_sent_again_to_a_box_that_may_have_been_started_anew() {
    let sent = [(0, Input::Prepared), (5, Input::Unanswered)];
    let refused = (6, Input::Failed(Failure::Unreachable));
    let patience = (6, Input::Failed(Failure::Later(None)));
    let changed = (6, Input::Absent(Boot::Changed));
    let unknown = |at| (at, Input::Absent(Boot::Unknown));
    let same = |at| (at, Input::Absent(Boot::Same));
    for (lines, said) in [
        (vec![refused.clone(), unknown(9), unknown(60)], "DISPATCH_UNCONFIRMED"),
        (vec![(6, Input::Gone), unknown(9), unknown(60)], "DISPATCH_UNCONFIRMED"),
        (vec![patience, unknown(9), unknown(60)], "DISPATCH_UNCONFIRMED"),
        (vec![changed.clone(), unknown(9), unknown(60)], "BOX_LOST"),
        (vec![changed, same(9), same(60)], "BOX_LOST"),
    ] {
        let lines: Vec<_> = sent.iter().cloned().chain(lines).collect();
        let start = Instant::now();
        let mut machine = Machine::new(start, deadlines()).with_redispatch(Redispatch::Deduped);
        let words = run(&mut machine, start, &lines);
        assert!(!words.contains(&"dispatch again".to_owned()), "{words:?}");
        assert_eq!(words.last(), Some(&format!("finish failed {said}")));
    }
    // A box that says that it is the same has not been started anew, whatever call failed.
    let lines: Vec<_> = sent.iter().cloned().chain([refused, same(9)]).collect();
    check_deduped(&lines, "prepare, dispatch, find, pause Failing, dispatch again");
    // What failed before the prompt left does not count.
    let lines = [
        (0, Input::Failed(Failure::Unreachable)),
        (1, Input::Prepared),
        (5, Input::Unanswered),
        unknown(9),
    ];
    check_deduped(&lines, "prepare, pause Failing, dispatch, find, dispatch again");
}

#[test]
fn a_prompt_that_the_box_has_taken_without_saying_where_is_only_looked_for() {
    let absent = |at| (at, Input::Absent(Boot::Same));
    // Its answer counts also if the log did not take what it said.
    for (answer, next) in [(Input::Unnamed, "find"), (Input::LogRefused, "pause Failing")] {
        let lines = [(0, Input::Prepared), (5, answer), absent(9), absent(59), absent(60)];
        let looks = format!("prepare, dispatch, {next}, pause Active, pause Active");
        check_deduped(&lines, &format!("{looks}, finish failed DISPATCH_UNCONFIRMED"));
    }
}

#[test]
fn after_a_restart_a_prompt_is_sent_again_only_with_its_body_and_only_once_to_the_same_box() {
    for (repeated, boot, last) in [
        (false, Boot::Same, "dispatch again"),
        (true, Boot::Same, "pause Active"),
        // Nobody watched meanwhile, so a box that does not tell may have been started anew.
        (false, Boot::Unknown, "pause Active"),
        (false, Boot::Changed, "pause Active"),
    ] {
        let absent = |at| (at, Input::Absent(boot));
        let lines = [absent(3), (4, Input::BodyArrived), absent(5)];
        let start = Instant::now();
        let point = ResumePoint { repeated, ..point(Stage::Prepared, 1) };
        let machine = Machine::resumed(start, deadlines(), &point);
        let mut machine = machine.with_redispatch(Redispatch::Deduped);
        assert_eq!(machine.wants_body(), !repeated);
        let said = run(&mut machine, start, &lines);
        assert_eq!(said, ["find", "pause Active", "find", last], "{repeated} {boot:?}");
    }
}

#[test]
fn an_end_that_was_seen_stands_if_the_box_forgets_the_session_before_the_last_read() {
    let lines = after([
        (1, ended(Activity::Idle, Ending::Completed)),
        (2, seen(Activity::Gone, true)),
        (3, seen(Activity::Gone, true)),
    ]);
    check(
        &lines,
        &["prepare", "dispatch", "poll", "poll", "finish completed none", "finish completed none"],
    );
}

#[test]
fn the_end_that_a_dispatch_stream_told_stands_if_the_box_has_forgotten_the_session() {
    let gone = || seen(Activity::Gone, false);
    let told = Input::Dispatched(Some(Ending::Completed));
    let lines = [(0, Input::Prepared), (0, told), (1, gone()), (1, gone())];
    check(&lines, &["prepare", "dispatch", "poll", "poll", "finish completed none"]);
}

#[test]
fn a_prompt_that_was_found_runs_on() {
    let lines = [(0, Input::Prepared), (5, Input::Unanswered), (6, Input::Dispatched(None))];
    check(&lines, &["prepare", "dispatch", "find", "poll"]);
}

#[test]
fn an_unreachable_box_says_nothing_about_a_prompt_that_is_being_looked_for() {
    let unreachable = || Input::Failed(Failure::Unreachable);
    let lines = [
        (0, Input::Prepared),
        (5, Input::Unanswered),
        (59, unreachable()),
        (200, unreachable()),
        (201, Input::Tick),
        (202, Input::Dispatched(None)),
    ];
    let said = ["prepare", "dispatch", "find", "pause Failing", "pause Failing", "find", "poll"];
    check(&lines, &said);
}

#[test]
fn a_box_that_asks_for_patience_gets_it_until_the_start_deadline() {
    let later = || Input::Failed(Failure::Later(Some(secs(2))));
    let lines = [(0, later()), (2, Input::Tick), (3, later()), (60, Input::Tick)];
    let said =
        ["prepare", "pause After(2s)", "prepare", "pause After(2s)", "withdraw DISPATCH_REFUSED"];
    check(&lines, &said);
}

#[test]
fn a_box_that_is_never_reached_leaves_nothing_behind() {
    let unreachable = || Input::Failed(Failure::Unreachable);
    let lines = [(0, unreachable()), (30, Input::Tick), (60, unreachable())];
    let said = ["prepare", "pause Failing", "prepare", "withdraw BOX_UNREACHABLE"];
    check(&lines, &said);
}

#[test]
fn an_outage_within_the_deadline_is_survived_and_one_beyond_it_is_a_verdict() {
    let unreachable = || Input::Failed(Failure::Unreachable);
    let lines = after([
        (10, unreachable()),
        (130, unreachable()),
        (131, seen(Activity::Busy, true)),
        (140, unreachable()),
        (439, unreachable()),
        (440, unreachable()),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Failing",
        "pause Failing",
        "pause Quiet",
        "pause Failing",
        "pause Failing",
        "finish failed BOX_UNREACHABLE",
    ];
    check(&lines, &said);
}

#[test]
fn a_box_that_comes_back_idle_gets_its_grace_from_then_on() {
    let lines = after([
        (1, seen(Activity::Idle, true)),
        (2, Input::Failed(Failure::Unreachable)),
        (100, seen(Activity::Idle, true)),
        (115, seen(Activity::Idle, true)),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Active",
        "pause Failing",
        "pause Active",
        "finish failed BOX_LOST",
    ];
    check(&lines, &said);
}

#[test]
fn a_poll_that_fails_now_and_then_does_not_begin_a_grace_anew() {
    // Each third poll fails for a second: of the 24 seconds since the box was first idle, 16 were
    // seen by the last line.
    let failed = Input::Failed(Failure::Unreachable);
    let polls = (0..8).flat_map(|n| {
        let idle = seen(Activity::Idle, true);
        [(3 * n, idle.clone()), (3 * n + 1, failed.clone()), (3 * n + 2, idle)]
    });
    let start = Instant::now();
    let mut machine = Machine::new(start, deadlines());
    let said = run(&mut machine, start, &after(polls));
    assert_eq!(said.last().map(String::as_str), Some("finish failed BOX_LOST"), "{said:?}");
}

#[test]
fn a_quiet_time_goes_on_after_a_poll_that_failed() {
    let failed = Input::Failed(Failure::Unreachable);
    let busy = || seen(Activity::Busy, true);
    let lines = [(1, busy()), (500, failed), (501, busy()), (1000, busy()), (1001, busy())];
    let said = ["pause Quiet", "pause Failing", "pause Quiet", "pause Quiet"];
    let said: Vec<_> = ["prepare", "dispatch", "poll"]
        .into_iter()
        .chain(said)
        .chain(["finish failed QUIET_DEADLINE"])
        .collect();
    check(&after(lines), &said);
}

#[test]
fn nonsense_from_the_box_has_its_own_code() {
    let nonsense = || Input::Failed(Failure::Nonsense);
    let lines = after([(0, nonsense()), (300, nonsense())]);
    check(&lines, &["prepare", "dispatch", "poll", "pause Failing", "finish failed BOX_ERROR"]);
}

#[test]
fn a_turn_waits_for_a_credential_and_goes_on_when_one_comes() {
    let refused = || Input::Failed(Failure::Unauthorized);
    let lines = after([
        (0, refused()),
        (1800, Input::CredentialArrived),
        (1801, seen(Activity::Busy, true)),
        (1900, refused()),
        (5500, refused()),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Waiting",
        "poll",
        "pause Quiet",
        "pause Waiting",
        "finish failed BOX_UNAUTHORIZED",
    ];
    check(&lines, &said);
}

#[test]
fn patience_that_the_box_asks_for_is_no_outage() {
    let later = |at| (at, Input::Failed(Failure::Later(Some(secs(100)))));
    let lines = after([later(0), later(400), later(800)]);
    let pause = "pause After(100s)";
    check(&lines, &["prepare", "dispatch", "poll", pause, pause, pause]);
}

#[test]
fn quiet_has_a_deadline_only_while_the_agent_is_at_work() {
    let lines = after([
        (1, seen(Activity::Waiting, true)),
        (2000, seen(Activity::Waiting, true)),
        (2999, seen(Activity::Busy, true)),
        (3000, seen(Activity::Busy, true)),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Waiting",
        "pause Waiting",
        "pause Quiet",
        "finish failed QUIET_DEADLINE",
    ];
    check(&lines, &said);
}

#[test]
fn a_turn_that_takes_too_long_is_stopped_at_the_box_too() {
    let lines = after([(1, seen(Activity::Busy, true)), (86_400, Input::Tick)]);
    let said =
        ["prepare", "dispatch", "poll", "pause Quiet", "finish failed TURN_DEADLINE and stop box"];
    check(&lines, &said);
}

#[test]
fn a_stop_is_seen_at_once_and_repeated_while_the_box_works_on() {
    let lines = after([
        (1, Input::CancelAsked),
        (2, seen(Activity::Busy, true)),
        (6, seen(Activity::Busy, true)),
        (7, ended(Activity::Idle, Ending::Cancelled)),
        (7, ended(Activity::Idle, Ending::Cancelled)),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "poll",
        "pause Quiet",
        "stop box",
        "poll",
        "finish cancelled CANCELLED",
    ];
    check(&lines, &said);
}

#[test]
fn a_stop_before_the_dispatch_means_that_nothing_is_sent() {
    check(&[(0, Input::CancelAsked)], &["prepare", "withdraw CANCELLED"]);
}

#[test]
fn a_stop_while_the_dispatch_is_under_way_reaches_the_box_after_it() {
    let lines = [
        (0, Input::Prepared),
        (1, Input::Unanswered),
        (2, Input::CancelAsked),
        (3, Input::Dispatched(None)),
    ];
    check(&lines, &["prepare", "dispatch", "find", "find", "stop box"]);
}

#[test]
fn a_stopped_turn_that_the_box_never_began_is_cancelled() {
    let lines = after([
        (1, Input::CancelAsked),
        (1, seen(Activity::Idle, false)),
        (6, seen(Activity::Idle, false)),
    ]);
    let said =
        ["prepare", "dispatch", "poll", "poll", "pause Active", "finish cancelled CANCELLED"];
    check(&lines, &said);
}

#[test]
fn what_the_log_refused_is_read_again_and_a_verdict_is_written_again() {
    let lines = after([
        (1, Input::LogRefused),
        (2, Input::Tick),
        (3, ended(Activity::Idle, Ending::Completed)),
        (3, ended(Activity::Idle, Ending::Completed)),
        (4, Input::LogRefused),
        (5, Input::Tick),
    ]);
    let said = [
        "prepare",
        "dispatch",
        "poll",
        "pause Failing",
        "poll",
        "poll",
        "finish completed none",
        "pause Failing",
        "finish completed none",
    ];
    check(&lines, &said);
}

#[test]
fn a_dispatch_whose_acceptance_the_log_refused_is_looked_for_not_repeated() {
    let lines = [(0, Input::Prepared), (0, Input::LogRefused), (1, Input::Tick)];
    check(&lines, &["prepare", "dispatch", "pause Failing", "find"]);
}

#[test]
fn a_resumed_turn_goes_on_where_it_was() {
    check_resumed(&point(Stage::Dispatched, 5), &[], &["poll"]);
    check_resumed(
        &point(Stage::Prepared, 5),
        &[(0, Input::Absent(Boot::Unknown))],
        &["find", "pause Active"],
    );
    check_resumed(&point(Stage::Accepted, 5), &[(1, Input::BodyArrived)], &["await", "prepare"]);
}

#[test]
fn a_resumed_turn_has_what_remains_of_its_deadlines() {
    let never = [(19, Input::Tick), (20, Input::Tick)];
    check_resumed(
        &point(Stage::Accepted, 40),
        &never,
        &["await", "await", "withdraw NEVER_STARTED"],
    );
    let absent = [(19, Input::Absent(Boot::Unknown)), (20, Input::Absent(Boot::Unknown))];
    let said = ["find", "pause Active", "finish failed DISPATCH_UNCONFIRMED"];
    check_resumed(&point(Stage::Prepared, 40), &absent, &said);
}

#[test]
fn a_resumed_turn_whose_time_ran_out_is_looked_at_once() {
    let busy = [(0, seen(Activity::Busy, true))];
    let said = ["poll", "finish failed TURN_DEADLINE and stop box"];
    check_resumed(&point(Stage::Dispatched, 100_000), &busy, &said);
    let over = || ended(Activity::Idle, Ending::Completed);
    let said = ["poll", "poll", "finish completed none"];
    check_resumed(&point(Stage::Dispatched, 100_000), &[(0, over()), (0, over())], &said);
    let unseen = [(0, Input::Failed(Failure::Unreachable))];
    let said = ["poll", "finish failed TURN_DEADLINE and stop box"];
    check_resumed(&point(Stage::Dispatched, 100_000), &unseen, &said);
    let said = ["find", "finish failed DISPATCH_UNCONFIRMED"];
    check_resumed(&point(Stage::Prepared, 100_000), &[(0, Input::Absent(Boot::Unknown))], &said);
}

#[test]
fn a_verdict_that_the_box_gave_survives_the_box() {
    let unreachable = || Input::Failed(Failure::Unreachable);
    for activity in [Activity::Idle, Activity::Busy] {
        let first = ended(activity, Ending::Completed);
        let next = if activity == Activity::Idle { "poll" } else { "pause Active" };
        let lines =
            after([(1, first), (2, unreachable()), (301, unreachable()), (302, unreachable())]);
        let said = ["prepare", "dispatch", "poll", next, "pause Failing", "pause Failing"];
        check(&lines, &[&said[..], &["finish completed none"]].concat());
    }
    // One that a later look did not confirm does not count.
    let lines = after([
        (1, ended(Activity::Busy, Ending::Completed)),
        (2, seen(Activity::Busy, true)),
        (3, unreachable()),
        (303, unreachable()),
    ]);
    let said = ["prepare", "dispatch", "poll", "pause Active", "pause Quiet", "pause Failing"];
    check(&lines, &[&said[..], &["finish failed BOX_UNREACHABLE"]].concat());
}

#[test]
fn a_finished_machine_accepts_nothing_more() {
    let start = Instant::now();
    let mut machine = Machine::new(start, deadlines());
    machine.begin(start);
    let withdrawn = machine.step(start, Input::Refused);
    assert_eq!(withdrawn, Action::Withdraw(Withdrawal::Refused));
    machine.closed();
    assert_eq!(machine.phase(), Phase::Finished);
    assert_eq!(machine.step(start, Input::Dispatched(None)), Action::Stop);
    assert_eq!(machine.step(start, Input::CancelAsked), Action::Stop);
}

#[test]
fn verdicts_name_their_outcome_and_code() {
    let verdict = Verdict::ours(Code::QuietDeadline);
    assert_eq!(verdict.outcome(), Outcome::Failed);
    assert_eq!(verdict.code().map(Code::as_str), Some("QUIET_DEADLINE"));
    assert_eq!(Verdict::Cancelled.code().map(Code::as_str), Some("CANCELLED"));
}

/// An input that fits the action, as a driver could bring it.
fn answers(action: &Action) -> BoxedStrategy<Input> {
    let failure = prop::sample::select(vec![
        Failure::Unreachable,
        Failure::Nonsense,
        Failure::Unauthorized,
        Failure::Later(None),
    ]);
    let failed = failure.prop_map(Input::Failed).boxed();
    let (busy, over) = ([Activity::Busy, Activity::Retrying], [Activity::Idle, Activity::Gone]);
    let activity = prop::sample::select([&busy[..], &over, &[Activity::Waiting]].concat());
    let ending = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Ending::Completed)),
        1 => Just(Some(Ending::Cancelled)),
    ];
    let polled = (activity, any::<bool>(), ending, any::<bool>()).prop_map(
        |(activity, started, ending, changed)| {
            Input::Polled(Seen { activity, started, ending, changed })
        },
    );
    let refused = Just(Input::LogRefused).boxed();
    match action {
        Action::Prepare => {
            prop_oneof![Just(Input::Prepared), Just(Input::Refused), failed, refused].boxed()
        }
        Action::Dispatch => prop_oneof![
            Just(Input::Dispatched(None)),
            Just(Input::Dispatched(Some(Ending::Completed))),
            Just(Input::Unnamed),
            Just(Input::NotSent),
            Just(Input::Unanswered),
            Just(Input::Refused),
            failed,
            refused
        ]
        .boxed(),
        Action::Redispatch => prop_oneof![
            Just(Input::Dispatched(None)),
            Just(Input::NotSent),
            Just(Input::Unanswered),
            Just(Input::Unnamed),
            Just(Input::Refused),
            failed,
            refused
        ]
        .boxed(),
        Action::Find => prop_oneof![
            Just(Input::Dispatched(None)),
            Just(Input::Absent(Boot::Same)),
            Just(Input::Absent(Boot::Same)),
            Just(Input::Absent(Boot::Unknown)),
            Just(Input::Absent(Boot::Changed)),
            Just(Input::Gone),
            failed,
            refused
        ]
        .boxed(),
        Action::Poll(_) => prop_oneof![8 => polled, 1 => failed, 1 => refused].boxed(),
        Action::CancelAtBox => Just(Input::Tick).boxed(),
        Action::Pause { .. } | Action::Await(_) => {
            let orders = [Input::CancelAsked, Input::CredentialArrived, Input::BodyArrived];
            prop_oneof![2 => Just(Input::Tick), 1 => prop::sample::select(orders.to_vec())].boxed()
        }
        Action::Finish { .. } | Action::Withdraw(_) | Action::Stop => refused,
    }
}

/// What speaks for the box having been started anew since the prompt left.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    /// It said so itself.
    is_told: bool,
    /// A call failed, its session was gone, or nobody watched.
    is_doubted: bool,
}

impl Evidence {
    fn weigh(&mut self, action: &Action, input: &Input) {
        match (action, input) {
            (Action::Dispatch, Input::Unanswered | Input::Unnamed) => *self = Self::default(),
            (Action::Find, Input::Absent(Boot::Changed)) => self.is_told = true,
            (Action::Find, Input::Gone) => self.is_doubted = true,
            (Action::Find, Input::Failed(failure)) => {
                self.is_doubted |= *failure != Failure::Unauthorized;
            }
            _ => {}
        }
    }

    /// Whether a look that ends so lets the prompt be sent once more.
    const fn allows(self, boot: Boot) -> bool {
        match boot {
            Boot::Same => !self.is_told,
            Boot::Unknown => !self.is_told && !self.is_doubted,
            Boot::Changed => false,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whatever the box, the log and the clients do: after the prompt may have left it is sent
    /// again only if it surely had not, or once if nothing speaks for the box having been started
    /// anew, a turn that the box may have is never withdrawn, the verdict does not change once
    /// given, and the turn ends. Half of the turns go in short steps, so that their deadlines leave
    /// room for a second prompt.
    #[test]
    fn any_order_of_events_keeps_the_laws(
        choices in proptest::collection::vec(any::<prop::sample::Index>(), 400),
        steps in proptest::collection::vec(0_u64..2000, 400),
        longest_step in prop_oneof![Just(2000_u64), Just(8_u64)],
        redispatch in prop_oneof![Just(Redispatch::Never), Just(Redispatch::Deduped)],
        resumed in prop_oneof![Just(None), Just(Some(Stage::Accepted)), Just(Some(Stage::Prepared)), Just(Some(Stage::Dispatched))],
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut machine = match resumed {
            None => Machine::new(start, deadlines()),
            Some(stage) => Machine::resumed(start, deadlines(), &point(stage, 3)),
        };
        machine = machine.with_redispatch(redispatch);
        let (mut repeats, mut last_input) = (0, None);
        let mut may_have_left = matches!(resumed, Some(Stage::Prepared | Stage::Dispatched));
        let mut anew = Evidence { is_told: false, is_doubted: resumed.is_some() };
        let mut verdict = None;
        let mut action = machine.begin(now);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for (choice, step) in choices.iter().zip(&steps) {
            match &action {
                Action::Dispatch => {
                    prop_assert!(!may_have_left, "a prompt that may have left is sent again");
                    may_have_left = true;
                }
                Action::Redispatch => {
                    repeats += 1;
                    prop_assert!(may_have_left && repeats == 1, "sent again and again");
                    prop_assert_eq!(redispatch, Redispatch::Deduped);
                    let boot = match last_input {
                        Some(Input::Absent(boot)) => Some(boot),
                        _ => None,
                    };
                    prop_assert!(boot.is_some_and(|boot| anew.allows(boot)), "{boot:?}, {anew:?}");
                }
                Action::Withdraw(_) => prop_assert!(!may_have_left, "a turn the box may have is withdrawn"),
                Action::Finish { verdict: given, .. } => {
                    prop_assert!(may_have_left, "a verdict about a turn that was never sent");
                    let first = verdict.get_or_insert_with(|| given.clone());
                    prop_assert_eq!(&*first, given, "the verdict changes");
                }
                Action::Stop => prop_assert!(false, "stopped without being closed"),
                Action::Pause { until, .. } | Action::Await(until) => {
                    prop_assert!(*until >= now, "a deadline in the past");
                }
                Action::Prepare | Action::Find | Action::Poll(_) | Action::CancelAtBox => {}
            }
            let strategy = answers(&action);
            let mut input = None;
            for _ in 0..=choice.index(7) {
                input = Some(strategy.new_tree(&mut runner).expect("a value").current());
            }
            let input = input.expect("at least one");
            let not_taken = matches!(
                (&action, &input),
                (Action::Dispatch, Input::NotSent | Input::Refused | Input::Failed(_))
            );
            if not_taken {
                may_have_left = false;
            }
            now += secs(step % longest_step);
            anew.weigh(&action, &input);
            last_input = Some(input.clone());
            action = machine.step(now, input);
        }
        // Half a million seconds have passed on average: the day's deadline is long over.
        if now.duration_since(start) > secs(2 * 86_400) {
            let closing = matches!(action, Action::Finish { .. } | Action::Withdraw(_) | Action::Pause { .. } | Action::Poll(_) | Action::Find | Action::CancelAtBox);
            prop_assert!(closing, "still at {action:?}");
        }
    }
}
