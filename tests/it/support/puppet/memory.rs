//! What a box remembers of its prompts, and the books of the test, which forget nothing.
//!
//! A box that is started anew forgets ids and runs; prompts on their way to it are lost with their
//! connections. While somebody looks, such a start is never silent: either the boot mark tells it, or the next look at
//! each prompt finds the box away or its session gone. A box that does neither cannot be told from
//! one that was never started anew, and nothing is promised before it. Nor is it started anew
//! between a late arrival and the next thing it hears of that prompt: whoever had just been told
//! that nothing has arrived cannot know better.

use std::collections::{BTreeMap, BTreeSet};

use afterbay::upstream::{Boot, Redispatch};

use super::Fault;

/// What becomes of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Taken,
    /// It arrives, and its answer is lost.
    TakenInSilence,
    /// It is lost on the way, after it left.
    LostOnTheWay,
    /// It is on its way until the test lets it arrive, or the box is started anew.
    Delayed,
    NotSent,
    Refused,
    Later,
    /// It arrives, and the answer does not say where.
    Unnamed,
    /// It arrives, and the answer tells its end, too, in the box's own frames.
    Told,
}

/// What kind of box it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Whether the same execution again is the same run to it.
    pub(crate) repeats: Redispatch,
    /// Whether it shows a boot mark.
    pub(crate) has_mark: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { repeats: Redispatch::Never, has_mark: false }
    }
}

#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) memory: Memory,
    boots: usize,
    /// The executions that it knows since its last start.
    known: BTreeSet<String>,
    /// Those that ran and are forgotten.
    forgotten: BTreeSet<String>,
    /// Prompts that left and have neither arrived nor got lost yet.
    on_the_way: Vec<String>,
    /// Those that arrived late, and of which nothing was heard since.
    late: BTreeSet<String>,
    posts: Vec<(String, Delivery)>,
    arrivals: Vec<String>,
    runs: Vec<String>,
    /// With which start of the box each prompt was last looked at or prepared.
    seen: BTreeMap<String, usize>,
}

impl Books {
    pub(super) fn of(memory: Memory) -> Self {
        Self { memory, ..Self::default() }
    }

    /// The mark as it stands in the adapter's notes.
    pub(super) fn prepare(&mut self, execution: &str) -> String {
        self.seen.insert(execution.to_owned(), self.boots);
        self.boots.to_string()
    }

    /// A prompt leaves.
    pub(super) fn post(&mut self, execution: &str, delivery: Delivery) {
        self.late.remove(execution);
        if delivery != Delivery::NotSent {
            self.posts.push((execution.to_owned(), delivery));
        }
        match delivery {
            Delivery::Taken | Delivery::TakenInSilence | Delivery::Unnamed | Delivery::Told => {
                self.arrive(execution);
            }
            Delivery::Delayed => self.on_the_way.push(execution.to_owned()),
            Delivery::LostOnTheWay | Delivery::NotSent | Delivery::Refused | Delivery::Later => {}
        }
    }

    fn arrive(&mut self, execution: &str) {
        self.arrivals.push(execution.to_owned());
        let is_new = self.known.insert(execution.to_owned());
        if is_new || self.memory.repeats == Redispatch::Never {
            self.runs.push(execution.to_owned());
        }
    }

    /// What was on its way arrives.
    pub(super) fn let_arrive(&mut self) {
        for execution in std::mem::take(&mut self.on_the_way) {
            self.arrive(&execution);
            self.late.insert(execution);
        }
    }

    pub(super) fn start_anew(&mut self) {
        if !self.late.is_empty() {
            return;
        }
        self.boots += 1;
        self.on_the_way.clear();
        self.forgotten.append(&mut self.known);
    }

    /// Started anew while nobody looked: without a mark nothing tells.
    pub(super) fn start_unwatched(&mut self) {
        self.start_anew();
        let boots = self.boots;
        self.seen.values_mut().for_each(|seen| *seen = boots);
    }

    pub(super) fn starts(&self) -> usize {
        self.boots
    }

    pub(super) fn knows(&self, execution: &str) -> bool {
        self.known.contains(execution)
    }

    /// What a look at this prompt tells of the box's starts.
    pub(super) fn look(&mut self, execution: &str, mark: &str) -> Result<Boot, Fault> {
        self.late.remove(execution);
        if self.memory.has_mark {
            let same = self.boots.to_string() == mark;
            return Ok(if same { Boot::Same } else { Boot::Changed });
        }
        match self.seen.insert(execution.to_owned(), self.boots) {
            Some(before) if before < self.boots && self.boots.is_multiple_of(2) => {
                Err(Fault::Connect)
            }
            Some(before) if before < self.boots => Err(Fault::Gone),
            Some(_) | None => Ok(Boot::Unknown),
        }
    }

    /// Whether this ran and was forgotten: the agent works on it no more.
    pub(super) fn has_forgotten(&self, execution: &str) -> bool {
        self.forgotten.contains(execution)
    }

    pub(super) fn arrivals(&self, execution: &str) -> usize {
        self.arrivals.iter().filter(|arrived| *arrived == execution).count()
    }

    pub(super) fn runs(&self, execution: &str) -> usize {
        self.runs.iter().filter(|ran| *ran == execution).count()
    }

    pub(super) fn posts(&self, execution: &str, which: impl Fn(Delivery) -> bool) -> usize {
        self.posts.iter().filter(|(of, delivery)| of == execution && which(*delivery)).count()
    }
}
