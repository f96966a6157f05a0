//! The sessions as they are read: whether each batch is what follows the one before it, and whether
//! what a session lacks is cut off. One small entry a session, however long it is.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::holes::{Holes, Lack};
use super::report::{At, Fault, Findings, Numbers};
use crate::event::Lsn;
use crate::ids::SessionKey;
use crate::limits;
use crate::log::Tail;
use crate::log::index::Link;
use crate::log::record::{BatchHeader, Cut};
use crate::log::sealed::Part;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) findings: Findings,
    pub(super) holes: Holes,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Strands {
    strands: HashMap<SessionKey, Strand>,
    /// The cuts that are to come.
    forecast: HashMap<SessionKey, Cut>,
}

/// One session, up to the last batch that was read.
#[derive(Debug)]
struct Strand {
    /// Behind that batch.
    link: Link,
    /// The holes in front of it.
    passed: usize,
    /// What is missing and not cut off so far, oldest first.
    lacks: Vec<Lack>,
    /// What is before this is cut off.
    begins: Lsn,
    /// The first batch behind the cut that is to come, if it does not follow the cut's link.
    misfit: Option<Box<(At, Numbers)>>,
}

/// How the numbers of a batch stand to those that are next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Next,
    Ahead,
    Behind,
    /// Its two numbers do not go together.
    Astray,
}

impl Strands {
    pub(super) fn new(forecast: HashMap<SessionKey, Cut>) -> Self {
        Self { strands: HashMap::new(), forecast }
    }

    pub(super) fn count(&self) -> u64 {
        self.strands.len() as u64
    }

    /// What would be next in a session.
    pub(super) fn tail(&self, key: SessionKey) -> Tail {
        self.strands.get(&key).map_or(Link::START.tail, |strand| strand.link.tail)
    }

    /// The next batch; without a body if that is damaged.
    pub(super) fn take(
        &mut self,
        header: &BatchHeader,
        body: Option<&[u8]>,
        at: &At,
        book: &mut Book,
    ) {
        let strand = self.strands.entry(header.key).or_insert_with(Strand::new);
        let Link { tail, chain } = strand.link;
        // Of a damaged batch this cannot be told.
        let follows = |chain| body.map(|body| header.follows(chain, body));
        let numbers = Numbers::of(header);
        let tell = |fault, book: &mut Book| {
            let finding = at.finding(fault).of(header.key, numbers);
            book.findings.add(at, finding);
        };
        let mut fits = true;
        if body.is_none() {
            // It may have been a cut.
            strand.lacks.iter_mut().for_each(|lack| lack.is_followed = true);
        }
        match order(tail, header.first) {
            Order::Next => fits = follows(chain) != Some(false),
            Order::Astray => fits = false,
            Order::Ahead => {
                strand.lack(header.key, at, header.first, follows(chain) == Some(true), book);
            }
            Order::Behind => {
                // Damage is told already.
                if body.is_some() {
                    tell(Fault::Reordered, book);
                }
                strand.fill(header);
                if header.end().next_lsn <= tail.next_lsn {
                    return;
                }
            }
        }
        if !fits {
            tell(Fault::BrokenChain, book);
        }
        let cut = self.forecast.get(&header.key).filter(|cut| cut.first == header.first);
        if let Some(cut) = cut
            && fits
            && follows(cut.chain) == Some(false)
        {
            strand.misfit = Some(Box::new((at.clone(), numbers)));
        }
        strand.link = Link { tail: header.end(), chain: header.chain };
        strand.passed = book.holes.passed();
    }

    /// A session says where its log begins.
    pub(super) fn cut(&mut self, key: SessionKey, cut: Cut, book: &mut Book) {
        let strand = self.strands.entry(key).or_insert_with(Strand::new);
        if self.forecast.get(&key) == Some(&cut)
            && let Some(misfit) = strand.misfit.take()
        {
            let (at, numbers) = *misfit;
            let finding = at.finding(Fault::BrokenChain).of(key, numbers);
            book.findings.add(&at, finding);
        }
        strand.begins = strand.begins.max(cut.first.next_lsn);
        let begins = strand.begins;
        strand.lacks.retain(|lack| !is_accounted_for(lack, begins, book));
    }

    /// What the index of a segment knows of a session, where the segment itself is damaged; at `at`
    /// it says more than can be read.
    pub(super) fn heal(&mut self, part: &Part, at: &At, book: &mut Book) {
        let Part { key, link, cut, .. } = *part;
        let strand = self.strands.entry(key).or_insert_with(Strand::new);
        if link.tail.next_lsn > strand.link.tail.next_lsn {
            strand.lack(key, at, link.tail, false, book);
            strand.link = link;
            strand.passed = book.holes.passed();
        }
        if let Some(cut) = cut {
            self.cut(key, cut, book);
        }
    }

    /// What is missing and was not cut off.
    pub(super) fn into_lacks(self) -> Vec<Lack> {
        let mut all = Vec::new();
        for strand in self.strands.into_values() {
            let Strand { lacks, passed, .. } = strand;
            let last = lacks.len().saturating_sub(1);
            all.extend(lacks.into_iter().enumerate().map(|(n, lack)| Lack {
                is_followed: lack.is_followed || n < last,
                passed,
                ..lack
            }));
        }
        all
    }
}

impl Strand {
    fn new() -> Self {
        Self { link: Link::START, passed: 0, lacks: Vec::new(), begins: Lsn::START, misfit: None }
    }

    /// The batch at `at` begins with `first`: what is before it is not there.
    fn lack(
        &mut self,
        session: SessionKey,
        at: &At,
        first: Tail,
        is_passed_over: bool,
        book: &mut Book,
    ) {
        let passed = book.holes.passed();
        let lack = Lack {
            session,
            at: at.clone(),
            missing: Numbers { first: self.link.tail, end: first },
            holes: self.passed..passed,
            is_passed_over,
            is_followed: false,
            passed,
        };
        if is_accounted_for(&lack, self.begins, book) {
            return;
        }
        let is_full = self.lacks.len() >= limits::MAX_VERIFY_GAPS;
        match self.lacks.last_mut().filter(|_| is_full) {
            Some(last) => {
                last.missing.end = lack.missing.end;
                last.holes.end = lack.holes.end;
            }
            None => self.lacks.push(lack),
        }
    }

    /// A batch stands where it does not belong, but it is there.
    fn fill(&mut self, header: &BatchHeader) {
        let begins_with_it = |lack: &&mut Lack| lack.missing.first == header.first;
        if let Some(lack) = self.lacks.iter_mut().find(begins_with_it) {
            lack.missing.first = header.end();
        }
        self.lacks.retain(|lack| lack.missing.first.next_lsn < lack.missing.end.next_lsn);
    }
}

/// Whether what is missing is cut off and went with its segment; if so, that is noted.
fn is_accounted_for(lack: &Lack, begins: Lsn, book: &mut Book) -> bool {
    let Numbers { first, end } = lack.missing;
    let is_cut_off = end.next_lsn <= begins && !lack.holes.is_empty();
    if is_cut_off {
        book.holes.account(&lack.holes, end.next_lsn.get() - first.next_lsn.get());
    }
    is_cut_off
}

fn order(next: Tail, first: Tail) -> Order {
    let records = first.next_lsn.get().checked_sub(next.next_lsn.get());
    let events = first.next_seq.get().checked_sub(next.next_seq.get());
    match (first.next_lsn.cmp(&next.next_lsn), records, events) {
        (Ordering::Less, ..) => Order::Behind,
        (Ordering::Equal, _, Some(0)) => Order::Next,
        (Ordering::Greater, Some(records), Some(events)) if events <= records => Order::Ahead,
        (Ordering::Equal | Ordering::Greater, ..) => Order::Astray,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Seq;

    #[test]
    fn numbers_are_next_ahead_behind_or_astray() {
        let tail = |lsn, seq| Tail { next_lsn: Lsn::new(lsn), next_seq: Seq::new(seq) };
        for (first, expected) in [
            (tail(10, 5), Order::Next),
            (tail(10, 6), Order::Astray),
            (tail(10, 4), Order::Astray),
            (tail(12, 5), Order::Ahead),
            (tail(12, 7), Order::Ahead),
            (tail(12, 8), Order::Astray),
            (tail(12, 4), Order::Astray),
            (tail(9, 5), Order::Behind),
            (tail(9, 9), Order::Behind),
        ] {
            assert_eq!(order(tail(10, 5), first), expected, "{first:?}");
        }
    }
}
