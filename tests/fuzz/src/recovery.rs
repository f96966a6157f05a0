//! Opening the log: any life of a folder, with bytes in it that nobody wrote.
//!
//! An input is a list of deeds: batches are appended, sessions trimmed, the log is closed, killed,
//! loses power; and while it is closed, files are changed, cut, swapped, removed and made up, mostly
//! with fresh checksums, so that what lies behind these is reached. Whatever the folder holds: opening
//! it refuses and changes nothing, or it shows what it shows from then on. What is read is read again
//! after a loss of power, numbers do not go back, what is appended is read, and nobody takes memory
//! for what is not there. The check of the log says something, and says "whole" only of what is.
//!
//! Opening believes an index whose checksums are right, and the numbers of groups. Where these lie, what
//! it shows may be another thing each time: then it must only stand it, in bounds.

use std::sync::Arc;

use afterbay::event::Seq;
use afterbay::log::{Disk, Log, OpenError, Recovered, Role, Store, Tail, verify};
use tokio::runtime::Runtime;

use super::forge;
use super::input::Input;
use super::reading::{self, Shown};
use super::support::faulty_disk::FaultyDisk;
use super::support::log_model::{SMALL, batch, key, metrics};
use super::tampering::{self, Order};
use super::watched::Watched;

/// Deeds of one life, at most: a life is to take milliseconds.
const DEEDS: usize = 32;
const SESSIONS: u8 = 4;
const SHAPES: [&str; 8] = ["e", "c", "ec", "ce", "eeee", "cc", "ece", "eec"];

/// Lives the life that `bytes` tell.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let seed = input.byte().into();
    let mut life = Life {
        runtime: runtime.expect("a runtime"),
        disk: FaultyDisk::new(seed),
        store: None,
        batches: 0,
        order: Order::AsWritten,
    };
    for _ in 0..DEEDS {
        if input.is_empty() || life.step(&mut input).is_none() {
            break;
        }
    }
    life.end();
}

struct Life {
    runtime: Runtime,
    disk: FaultyDisk,
    store: Option<Store>,
    batches: u64,
    /// Lies that opening believes: then it must only stand them.
    order: Order,
}

/// The log does not open: the life is over.
type Goes<T = ()> = Option<T>;

impl Life {
    fn step(&mut self, input: &mut Input<'_>) -> Goes {
        if cfg!(test) {
            // For whoever looks for the cause of a failure.
            println!("{input:?} on {:?}", self.disk.names());
        }
        match input.below(16) {
            deed @ 0..=3 => self.append(deed as u8 + 1, input),
            4 => self.trim(input),
            5 => {
                self.close();
                Some(())
            }
            6 => {
                self.store = None;
                self.disk.lose_power();
                Some(())
            }
            7 => {
                self.store = None;
                drop(self.disk.boot());
                Some(())
            }
            _ => {
                self.close();
                if tampering::tamper(&self.disk, input) == Order::Forged {
                    self.order = Order::Forged;
                }
                Some(())
            }
        }
    }

    fn append(&mut self, session: u8, input: &mut Input<'_>) -> Goes {
        let log = self.open()?.log(key(session));
        self.batches += 1;
        let shape = SHAPES[input.below(SHAPES.len())];
        let batch = batch(self.batches, shape, 4 * usize::from(input.byte()));
        let before = log.tail();
        let appended = self.runtime.block_on(log.append(batch)).expect("append");
        assert_eq!((appended.first_lsn, appended.first_seq), (before.next_lsn, before.next_seq));
        assert_eq!(appended.tail, log.tail());
        Some(())
    }

    fn trim(&mut self, input: &mut Input<'_>) -> Goes {
        let log = self.open()?.log(key(input.byte() % SESSIONS + 1));
        let back = u64::from(input.byte() % 8);
        let through = Seq::new(log.tail().next_seq.get().saturating_sub(1 + back));
        self.batches += 1;
        let kept = batch(self.batches, "c", 0);
        self.runtime.block_on(log.trim(through, kept)).expect("trim");
        Some(())
    }

    fn close(&mut self) {
        if let Some(store) = self.store.take() {
            self.runtime.block_on(store.close());
        }
    }

    /// The open store.
    fn open(&mut self) -> Goes<&Store> {
        if self.store.is_none() {
            self.store = Some(self.reopen()?);
        }
        self.store.as_ref()
    }

    /// Opens twice with a loss of power in between.
    fn reopen(&mut self) -> Goes<Store> {
        let said_whole = is_whole(&self.disk.duplicate());
        let before = contents(&self.disk);
        let opened = match Opened::new(&self.disk) {
            Ok(opened) => opened,
            Err(OpenError::Io { doing, source }) => panic!("{doing}: {source}"),
            Err(_) => {
                assert_eq!(contents(&self.disk), before, "a log that is refused is changed");
                return None;
            }
        };
        let (tails, shown) = self.runtime.block_on(async {
            opened.store.close().await;
            let mut shown = Vec::new();
            for log in logs(&opened.store) {
                shown.push(reading::to_the_end(&log).await);
            }
            (tails(&opened.store), shown)
        });
        self.disk.lose_power();
        is_whole(&self.disk.duplicate());
        let again = Opened::new(&self.disk).expect("it opens again");
        if self.order == Order::Forged {
            return Some(again.store);
        }
        // To the check, what is cut off may be missing.
        let has_cut = before.iter().any(|(_, content)| forge::has_cut(content));
        let may_lack = !said_whole || has_cut;
        assert!(may_lack || opened.damaged == 0, "the check has not seen what is lost");
        check_fold(&opened.folded, &shown);
        shown.iter().for_each(|shown| reading::check_order(shown));
        for (now, before) in self::tails(&again.store).into_iter().zip(tails) {
            let goes_back = now.next_lsn < before.next_lsn || now.next_seq < before.next_seq;
            assert!(!goes_back, "from {before:?} to {now:?}");
        }
        self.runtime.block_on(async {
            for (log, shown) in logs(&again.store).into_iter().zip(&shown) {
                reading::the_same(&log, shown).await;
            }
        });
        check_fold(&again.folded, &shown);
        Some(again.store)
    }

    /// Appends to each session, and reads that after another opening.
    fn end(mut self) {
        for session in 1..=SESSIONS {
            if self.append(session, &mut Input::new(&[])).is_none() {
                return;
            }
        }
        self.close();
        let is_forged = self.order == Order::Forged;
        let Some(store) = self.reopen() else {
            return assert!(is_forged, "it does not open any more");
        };
        self.runtime.block_on(async {
            store.close().await;
            for log in logs(&store) {
                let shown = reading::to_the_end(&log).await;
                let last = Seq::new(log.tail().next_seq.get() - 1);
                let is_last = matches!(shown.last(), Some(Shown::Event(seq, _)) if *seq == last);
                assert!(is_last || is_forged, "what was appended is not there: {:?}", shown.last());
            }
        });
    }
}

/// An open store, and what opening told.
struct Opened {
    store: Store,
    folded: Vec<Recovered>,
    damaged: u64,
}

impl Opened {
    fn new(disk: &FaultyDisk) -> Result<Self, OpenError> {
        let (metrics, mut folded) = (metrics(), Vec::new());
        let mut fold = |found| folded.push(found);
        let store = Store::open(watched(disk), SMALL, metrics.clone(), &mut fold)?;
        Ok(Self { store, folded, damaged: metrics.damaged_bytes.get() })
    }
}

fn watched(disk: &FaultyDisk) -> Arc<dyn Disk> {
    Watched::around(disk.boot())
}

/// Whether the check of the log finds nothing wrong with it.
fn is_whole(disk: &FaultyDisk) -> bool {
    let report = verify::check(&*watched(disk), |_| Role::Lasting);
    report.is_ok_and(|report| report.findings.is_empty())
}

fn contents(disk: &FaultyDisk) -> Vec<(String, Vec<u8>)> {
    disk.names().into_iter().map(|name| (name.clone(), disk.content(&name))).collect()
}

fn logs(store: &Store) -> Vec<Log> {
    (1..=SESSIONS).map(|session| store.log(key(session))).collect()
}

fn tails(store: &Store) -> Vec<Tail> {
    logs(store).iter().map(Log::tail).collect()
}

/// Opening folds the control records of each session in their order, and all that are read.
fn check_fold(folded: &[Recovered], shown: &[Vec<Shown>]) {
    for (session, shown) in (1..=SESSIONS).zip(shown) {
        let own = || folded.iter().filter(|found| found.key == key(session));
        assert!(own().map(|found| found.lsn).is_sorted_by(|a, b| a < b), "folded out of order");
        let mut rest = own();
        let read = shown.iter().filter_map(|shown| match shown {
            Shown::Control(control) => Some(control),
            Shown::Event(..) | Shown::Gap(..) => None,
        });
        for control in read {
            let is_folded = rest.any(|found| found.control == *control);
            assert!(is_folded, "{control:?} of {shown:?} is not in {folded:?}");
        }
    }
}
