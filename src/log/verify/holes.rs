//! Places where something is missing, what sessions lack there, and whether trims account for it.
//!
//! A segment goes when all that it held is cut off, and takes its group numbers with it. So a hole
//! in these is no fault if the sessions lack, in that place and before their cuts, at least as many
//! records as groups are missing: each group holds a batch, and each batch a record. Which sessions a
//! missing segment held is written nowhere, so that is all that can be known.
//!
//! What a session lacks and has not cut off is missing; unless the cut itself is, which stood behind
//! it. So this is judged from the end of the log to its beginning: where something of the session may
//! be missing behind, what it lacks is said to be in doubt, and told last.

use std::cmp::Reverse;
use std::ops::Range;

use super::report::{At, Fault, Findings, Numbers};
use crate::ids::SessionKey;

/// All holes, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Holes {
    holes: Vec<Hole>,
    /// How many records that are cut off are lacking from this hole on.
    from: Vec<u64>,
    /// The same, up to this hole.
    to: Vec<u64>,
}

#[derive(Debug)]
enum Hole {
    /// These groups are missing.
    Open(At, Range<u64>),
    /// It was named already for what it is.
    Named,
    /// No group is missing: what was cut off was left out when a segment was rewritten.
    Thinned,
}

/// What a session lacks and has not cut off.
#[derive(Debug)]
pub(super) struct Lack {
    pub(super) session: SessionKey,
    /// The batch behind it.
    pub(super) at: At,
    pub(super) missing: Numbers,
    /// The holes in which they may have been. If there are none, all groups between both batches are
    /// there, and what is missing was in none of them.
    pub(super) holes: Range<usize>,
    /// Whether the batch behind it follows the one in front of it all the same.
    pub(super) is_passed_over: bool,
    /// More of the session is lost behind it.
    pub(super) is_followed: bool,
    /// The holes behind the session's last batch begin with this one.
    pub(super) passed: usize,
}

impl Lack {
    fn records(&self) -> u64 {
        self.missing.end.next_lsn.get().saturating_sub(self.missing.first.next_lsn.get())
    }

    fn tell(self, fault: Fault, findings: &mut Findings) {
        findings.add(&self.at, self.at.finding(fault).of(self.session, self.missing));
    }
}

impl Holes {
    /// How many there are so far: what a session remembers to tell later which ones it has passed.
    pub(super) fn passed(&self) -> usize {
        self.holes.len()
    }

    /// Groups are missing here.
    pub(super) fn add_open(&mut self, at: At, groups: Range<u64>) {
        self.add(Hole::Open(at, groups));
    }

    /// Something is missing here, and was named.
    pub(super) fn add_named(&mut self) {
        self.add(Hole::Named);
    }

    /// What was cut off may have been left out here.
    pub(super) fn add_thinned(&mut self) {
        self.add(Hole::Thinned);
    }

    fn add(&mut self, hole: Hole) {
        self.holes.push(hole);
        self.from.push(0);
        self.to.push(0);
    }

    /// A session lacks so many records, in one of these holes or in some of them, and has cut them
    /// off.
    pub(super) fn account(&mut self, holes: &Range<usize>, records: u64) {
        let Some(last) = holes.end.checked_sub(1) else { return };
        if let (Some(from), Some(to)) = (self.from.get_mut(holes.start), self.to.get_mut(last)) {
            *from = from.saturating_add(records);
            *to = to.saturating_add(records);
        }
    }

    /// Everything was read: names what is missing.
    pub(super) fn judge(mut self, mut lacks: Vec<Lack>, findings: &mut Findings) {
        for lack in lacks.iter().filter(|lack| !lack.is_passed_over) {
            // Perhaps: it is in doubt, or its hole is to blame.
            self.account(&lack.holes, lack.records());
        }
        lacks.sort_by_key(|lack| Reverse(lack.holes.end));
        let (everywhere, lacks): (Vec<_>, Vec<_>) =
            lacks.into_iter().partition(|lack| lack.holes.is_empty() || lack.is_passed_over);
        for lack in everywhere {
            let passed = lack.is_passed_over;
            lack.tell(if passed { Fault::PassedOver } else { Fault::MissingRecords }, findings);
        }
        let mut lacks = lacks.into_iter().peekable();
        let accounts = self.accounts();
        // Of each hole: how many are bad from it on.
        let mut bad = vec![0_usize; self.holes.len() + 1];
        for (n, (hole, account)) in self.holes.into_iter().zip(accounts).enumerate().rev() {
            let mut is_to_blame = false;
            while let Some(lack) = lacks.next_if(|lack| lack.holes.end == n + 1) {
                let is_doubtful = lack.is_followed || bad.get(lack.passed).is_some_and(|n| *n > 0);
                is_to_blame |= !is_doubtful && lack.holes.len() == 1;
                lack.tell(
                    if is_doubtful { Fault::MissingOrCutOff } else { Fault::MissingRecords },
                    findings,
                );
            }
            let is_bad = match hole {
                Hole::Named => true,
                Hole::Thinned => false,
                Hole::Open(at, groups) => {
                    let is_fault = is_to_blame || account < groups.end - groups.start;
                    if is_fault {
                        findings.add(&at, at.finding(Fault::MissingGroups).of_groups(groups));
                    }
                    is_fault
                }
            };
            let behind = bad.get(n + 1).copied().unwrap_or_default();
            if let Some(here) = bad.get_mut(n) {
                *here = behind + usize::from(is_bad);
            }
        }
    }

    /// How many records that are cut off each hole may have held.
    fn accounts(&self) -> Vec<u64> {
        let mut now = 0_u64;
        let both = self.from.iter().zip(&self.to);
        both.map(|(from, to)| {
            now = now.saturating_add(*from);
            let here = now;
            now = now.saturating_sub(*to);
            here
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Lsn, Seq};
    use crate::log::Tail;

    /// Holes of two groups each.
    fn holes(count: u64) -> Holes {
        let mut holes = Holes::default();
        for n in 0..count {
            holes.add_open(At::new(n, 0..0), 10 * n..10 * n + 2);
        }
        holes
    }

    /// Which holes are told, and what sessions lack, by the places of both.
    fn told(holes: Holes, lacks: Vec<Lack>) -> Vec<(u64, &'static str)> {
        let mut findings = Findings::default();
        holes.judge(lacks, &mut findings);
        let (told, _) = findings.finish();
        let place = |file: &str| u64::from_str_radix(&file[8..24], 16).expect("an epoch");
        told.iter().map(|finding| (place(&finding.file), finding.fault.name())).collect()
    }

    fn lack(holes: Range<usize>, records: u64, passed: usize) -> Lack {
        let tail = |n| Tail { next_lsn: Lsn::new(n), next_seq: Seq::new(n) };
        Lack {
            session: SessionKey::from_bytes([1; 16]),
            at: At::new(100 + holes.end as u64, 0..0),
            missing: Numbers { first: tail(1), end: tail(1 + records) },
            holes,
            is_passed_over: false,
            is_followed: false,
            passed,
        }
    }

    #[test]
    fn a_hole_needs_a_record_that_is_cut_off_for_each_of_its_groups() {
        for (count, accounts, faulty) in [
            (1, &[][..], &[0][..]),
            (1, &[(0..1, 1)], &[0]),
            (1, &[(0..1, 2)], &[]),
            (1, &[(0..1, 1), (0..1, 1)], &[]),
            (3, &[(0..3, 2)], &[]),
            (3, &[(0..2, 2)], &[2]),
            (3, &[(1..3, 5)], &[0]),
            (3, &[(0..1, 2), (2..3, 2)], &[1]),
            (2, &[(0..0, 9), (2..2, 9)], &[0, 1]),
        ] {
            let mut holes = holes(count);
            for (span, records) in accounts {
                holes.account(span, *records);
            }
            let faulty: Vec<_> = faulty.iter().map(|n| (*n, "missing-groups")).collect();
            assert_eq!(told(holes, Vec::new()), faulty, "{count}, {accounts:?}");
        }
    }

    #[test]
    fn what_is_not_cut_off_is_missing_and_its_hole_is_to_blame_if_it_is_the_only_one() {
        let mut one = holes(2);
        one.account(&(0..2), 9);
        assert_eq!(
            told(one, vec![lack(0..1, 9, 2)]),
            [(0, "missing-groups"), (101, "missing-records")]
        );
        let mut two = holes(2);
        two.account(&(0..2), 9);
        assert_eq!(told(two, vec![lack(0..2, 9, 2)]), [(102, "missing-records")]);
        // In a place where no group is missing, it was never there.
        assert_eq!(told(holes(0), vec![lack(0..0, 1, 0)]), [(100, "missing-records")]);
        let over = Lack { is_passed_over: true, ..lack(0..1, 9, 2) };
        assert_eq!(told(holes(1), vec![over]), [(0, "missing-groups"), (101, "passed-over")]);
    }

    #[test]
    fn what_may_have_been_cut_off_by_something_that_is_lost_is_told_last_and_blames_nothing() {
        // The last hole held what nobody has cut off; the session has nothing behind it.
        assert_eq!(
            told(holes(2), vec![lack(0..1, 5, 1), lack(1..2, 5, 2)]),
            [(1, "missing-groups"), (102, "missing-records"), (101, "missing-or-cut-off")]
        );
        let mut named = holes(1);
        named.add_named();
        assert_eq!(told(named, vec![lack(0..1, 5, 1)]), [(101, "missing-or-cut-off")]);
        let followed = Lack { is_followed: true, ..lack(0..1, 5, 1) };
        assert_eq!(told(holes(1), vec![followed]), [(101, "missing-or-cut-off")]);
        // A segment that went with a trim, or was rewritten, took no cut that counts.
        let mut gone = holes(2);
        gone.account(&(1..2), 2);
        gone.add_thinned();
        assert_eq!(
            told(gone, vec![lack(0..1, 5, 1)]),
            [(0, "missing-groups"), (101, "missing-records")]
        );
    }
}
