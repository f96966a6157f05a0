//! The plan: tables of what is kept and what goes, and its laws over any sessions.

use proptest::prelude::*;

use super::*;

const KEEP: Keep = Keep {
    age: Duration::from_millis(3200),
    total: 8000,
    session: 800,
    free: 1600,
    idempotency_age: Duration::from_secs(100),
};
const PLENTY: u64 = 1 << 40;

fn key(n: u8) -> SessionKey {
    SessionKey::from_bytes([n; 16])
}

/// A session whose turns have these ends, ten events each, and take `bytes` together.
fn holding(n: u8, bytes: u64, ends: &[u64]) -> Holding {
    let throughs = (1..).map(|turn| Seq::new(turn * 10));
    let cuts = ends.iter().zip(throughs);
    let cuts: Vec<_> = cuts.map(|(&ended_ms, through)| Cut { ended_ms, through }).collect();
    let next = Seq::new(ends.len() as u64 * 10 + 1);
    Holding { key: key(n), bytes, begins: Seq::new(1), next, cuts, running: None }
}

/// The same with a turn that runs and has as many events so far.
fn with_running(holding: Holding, events: u64) -> Holding {
    let (from, next) = (holding.next, Seq::new(holding.next.get() + events));
    Holding { running: Some(from), next, ..holding }
}

fn measured(now_ms: u64, holdings: &[Holding]) -> Measured {
    let kept = holdings.iter().map(|holding| holding.bytes).sum();
    Measured { now_ms, kept, free: PLENTY }
}

/// Which session is cut behind which event.
fn trims(plan: &Plan) -> Vec<(SessionKey, u64)> {
    plan.trims.iter().map(|trim| (trim.key, trim.through.get())).collect()
}

#[track_caller]
fn check(keep: &Keep, now_ms: u64, holdings: &[Holding], expected: &[(u8, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(n, through)| (key(*n), *through)).collect();
    assert_eq!(trims(&plan(keep, measured(now_ms, holdings), holdings)), expected);
}

#[test]
fn what_is_too_old_goes_once_the_oldest_of_it_is_so_by_more_than_the_slack() {
    let one = || vec![holding(1, 100, &[1000, 1050, 1101])];
    check(&KEEP, 1000 + 3299, &one(), &[]);
    // At 4300 the first is 3300 old, the second 3250, the third 3199.
    check(&KEEP, 1000 + 3300, &one(), &[(1, 20)]);
    check(&KEEP, 1000 + 9999, &one(), &[(1, 30)]);
    // A clock that went back makes nothing old.
    check(&KEEP, 0, &one(), &[]);
}

#[test]
fn a_session_that_holds_too_much_is_cut_below_its_quota() {
    check(&KEEP, 0, &[holding(1, 800, &[1; 8])], &[]);
    // Of 810 in nine turns two go: 630 are left, 700 are allowed then.
    check(&KEEP, 0, &[holding(1, 810, &[1; 9])], &[(1, 20)]);
    check(&KEEP, 0, &[holding(1, 9000, &[1; 9])], &[(1, 90)]);
}

#[test]
fn too_much_of_all_sessions_costs_the_oldest_turns_of_all() {
    let keep = Keep { session: PLENTY, ..KEEP };
    let two = |bytes| [holding(1, bytes, &[10, 30, 50, 70]), holding(2, bytes, &[20, 40, 60, 80])];
    check(&keep, 0, &two(4000), &[]);
    // Of 8080 at least 1080 must go; a turn takes 1010.
    check(&keep, 0, &two(4040), &[(1, 10), (2, 10)]);
    check(&keep, 0, &two(6000), &[(1, 20), (2, 20)]);
    check(&keep, 0, &[holding(1, 9000, &[90, 91]), holding(2, 3000, &[1, 2])], &[(1, 10), (2, 20)]);
}

#[test]
fn a_disk_without_room_costs_the_oldest_turns_too() {
    let holdings = [holding(1, 400, &[10, 30]), holding(2, 400, &[20, 40])];
    let with_free = |free| Measured { free, ..measured(0, &holdings) };
    for (free, expected) in [
        (1600, vec![]),
        // 201 more would be enough for a while; a turn takes 200.
        (1599, vec![(key(1), 10), (key(2), 10)]),
        (1200, vec![(key(1), 20), (key(2), 10)]),
        (0, vec![(key(1), 20), (key(2), 20)]),
    ] {
        assert_eq!(trims(&plan(&KEEP, with_free(free), &holdings)), expected, "{free}");
    }
}

#[test]
fn what_goes_for_another_reason_counts_as_room() {
    let holdings = [holding(1, 400, &[1, 9000]), holding(2, 400, &[9000, 9000])];
    let measured = Measured { free: 1500, ..measured(9000, &holdings) };
    assert_eq!(trims(&plan(&KEEP, measured, &holdings)), [(key(1), 10)]);
}

#[test]
fn a_turn_that_runs_stays_whatever_it_takes() {
    let busy = with_running(holding(1, 90_000, &[1, 2]), 1000);
    check(&KEEP, 9000, std::slice::from_ref(&busy), &[(1, 20)]);
    // Whatever ends it seems to have had.
    let mixed_up = Holding { running: Some(Seq::new(11)), ..holding(3, 90_000, &[1, 2, 3]) };
    check(&KEEP, 9000, &[mixed_up], &[(3, 10)]);
    let alone = with_running(holding(2, 90_000, &[]), 1000);
    let holdings = [alone];
    let plan = plan(&KEEP, Measured { free: 0, ..measured(9000, &holdings) }, &holdings);
    assert_eq!(plan, Plan { trims: Vec::new(), is_pressed: true });
}

#[test]
fn pressure_is_told_whether_something_can_go_or_not() {
    let pressed = |kept, free| {
        let measured = Measured { now_ms: 0, kept, free };
        plan(&KEEP, measured, &[]).is_pressed
    };
    assert!(!pressed(8000, 1600));
    assert!(pressed(8001, 1600) && pressed(8000, 1599));
}

/// Any sessions; in each the turns end one after the other.
fn holdings() -> impl Strategy<Value = Vec<Holding>> {
    let turns = proptest::collection::vec((0_u64..3, 1_u64..30), 0..8);
    let session = (turns, 0_u64..4000, proptest::option::of(0_u64..50), 0_u64..100);
    proptest::collection::vec(session, 0..6).prop_map(|sessions| {
        (0..)
            .zip(sessions)
            .map(|(n, (turns, bytes, running, before))| {
                let (mut at, mut ended_ms) = (before, 0);
                let cuts = turns.iter().map(|(pause, events)| {
                    at += events;
                    ended_ms += pause * 1000;
                    Cut { ended_ms, through: Seq::new(at) }
                });
                let cuts = cuts.collect();
                let begins = Seq::new(before + 1);
                let running = running.map(|events| (Seq::new(at + 1), events));
                let next = Seq::new(at + 1 + running.map_or(0, |(_, events)| events));
                let running = running.map(|(from, _)| from);
                Holding { key: key(n), bytes, begins, next, cuts, running }
            })
            .collect()
    })
}

/// What is left when the plan is carried out, and what was dropped.
fn carried_out(plan: &Plan, holdings: &[Holding]) -> (Vec<Holding>, u64) {
    let mut dropped = 0;
    let left = holdings.iter().map(|holding| {
        let Some(trim) = plan.trims.iter().find(|trim| trim.key == holding.key) else {
            return holding.clone();
        };
        let mut draft = Draft::new(holding);
        draft.gone = holding.cuts.iter().filter(|cut| cut.through <= trim.through).count();
        let bytes = draft.dropped();
        dropped += bytes;
        let cuts = holding.cuts.get(draft.gone..).unwrap_or_default().to_vec();
        let begins = trim.through.next();
        Holding { bytes: holding.bytes - bytes, begins, cuts, ..holding.clone() }
    });
    (left.collect(), dropped)
}

#[test]
fn the_laws_hold_for_any_sessions() {
    let world = (holdings(), 0_u64..20_000, 0_u64..3000, 0_u64..20_000);
    proptest!(ProptestConfig::with_cases(2000), |((holdings, now_ms, free, total) in world)| {
        let keep = Keep { total, ..KEEP };
        let measured = Measured { free, ..measured(now_ms, &holdings) };
        let plan = super::plan(&keep, measured, &holdings);
        for trim in &plan.trims {
            let of = |holding: &&Holding| holding.key == trim.key;
            let holding = holdings.iter().find(of).expect("a session that there is");
            // A prefix of turns that are over.
            prop_assert!(holding.cuts.iter().any(|cut| cut.through == trim.through));
            prop_assert!(trim.through >= holding.begins);
            prop_assert!(holding.running.is_none_or(|from| trim.through < from));
        }
        let (left, dropped) = carried_out(&plan, &holdings);
        let next = Measured { kept: measured.kept - dropped, free: free + dropped, ..measured };
        let again = super::plan(&keep, next, &left);
        prop_assert_eq!(&again.trims, &[], "once is enough");
        // Whatever is still too much or too little cannot be helped.
        let can_go = left.iter().any(|holding| Draft::new(holding).next().is_some());
        prop_assert!(!again.is_pressed || !can_go);
        oldest_went_first(&keep, measured, &holdings, &left)?;
    });
}

/// Of turns that had not to go for their age or their session, none went that is younger than one
/// that stayed.
fn oldest_went_first(
    keep: &Keep,
    measured: Measured,
    before: &[Holding],
    left: &[Holding],
) -> Result<(), TestCaseError> {
    let roomy = Keep { total: u64::MAX, free: 0, ..keep.clone() };
    let (owed, _) = carried_out(&super::plan(&roomy, measured, before), before);
    let gone = owed.iter().zip(left).flat_map(|(owed, left)| {
        let of_pressure = owed.cuts.len() - left.cuts.len();
        owed.cuts.iter().take(of_pressure)
    });
    let youngest = gone.map(|cut| cut.ended_ms).max();
    let oldest = left.iter().filter_map(|holding| Some(Draft::new(holding).next()?.ended_ms)).min();
    if let (Some(youngest), Some(oldest)) = (youngest, oldest) {
        prop_assert!(youngest <= oldest, "{youngest} went, {oldest} stayed");
    }
    Ok(())
}
