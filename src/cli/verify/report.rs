//! What `afterbay verify` says of a transcript: a line for each turn, and for what is of none.
//!
//! Each line begins with one of three words, so that a script can tell them apart.

use std::fmt;

use crate::event::Seq;
use crate::ids::ExecutionId;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A turn that is told to be whole, from its first event to its `done`; it is if nothing was
    /// found.
    Turn { execution: Option<ExecutionId>, first: Seq, done: Seq, findings: Vec<Finding> },
    /// A turn whose `done` carries no digest; `from` is its first event, or of an earlier turn.
    WithoutDigest { execution: Option<ExecutionId>, from: Seq, done: Seq },
    /// Frames whose `done` is not there.
    WithoutDone { from: Seq, to: Seq },
    /// So many frames without an id, as a turn ends that the box never took.
    LastWords(u64),
    /// What is wrong outside of all turns that can be checked, and how much more there is.
    Stray { findings: Vec<Finding>, more: u64 },
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// No such ids, both ends included.
    Missing { from: Seq, to: Seq },
    /// A frame stands behind one with a higher id, and was not there before.
    Late { id: Seq, behind: Seq },
    /// The same id with other bytes.
    Doubled(Seq),
    /// The same id so much later that its bytes are not remembered.
    Forgotten(Seq),
    /// Data that is no JSON object, or a name that is none.
    Broken(Seq),
    /// An id that afterbay does not write.
    BadId(String),
    /// A frame without an id that must have one.
    Unnumbered,
    /// The digest is another one.
    Altered,
    /// `events` does not fit where the turn begins.
    Elsewhere { told: Seq, found: Seq },
    /// `events` and `digest` are not as afterbay writes them.
    Nonsense,
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Turns that were checked and are whole.
    pub(super) whole: u64,
    /// Turns that are not, and what is wrong outside of turns.
    pub(super) wrong: u64,
    /// What can only be passed over.
    pub(super) not_checkable: u64,
}

impl Line {
    /// Whether there is nothing to say.
    pub(super) const fn is_empty(&self) -> bool {
        match self {
            Self::Stray { findings, more } => findings.is_empty() && *more == 0,
            Self::Turn { .. }
            | Self::WithoutDigest { .. }
            | Self::WithoutDone { .. }
            | Self::LastWords(_) => false,
        }
    }
}

impl Counts {
    /// Counts these, too.
    pub(super) fn add(&mut self, lines: &[Line]) {
        for line in lines {
            match line {
                Line::Turn { findings, .. } if findings.is_empty() => self.whole += 1,
                Line::Turn { .. } | Line::Stray { .. } => self.wrong += 1,
                Line::WithoutDigest { .. } | Line::WithoutDone { .. } | Line::LastWords(_) => {
                    self.not_checkable += 1;
                }
            }
        }
    }
}

impl Finding {
    /// The last id that it is about, if it is about any.
    pub(super) const fn id(&self) -> Option<Seq> {
        match self {
            Self::Missing { to: id, .. }
            | Self::Late { id, .. }
            | Self::Doubled(id)
            | Self::Forgotten(id)
            | Self::Broken(id) => Some(*id),
            Self::BadId(_)
            | Self::Unnumbered
            | Self::Altered
            | Self::Elsewhere { .. }
            | Self::Nonsense => None,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turn { execution, first, done, findings } => {
                let word = if findings.is_empty() { "ok" } else { "wrong" };
                let events = match done.get() - first.get() {
                    1 => "1 event".to_owned(),
                    n => format!("{n} events"),
                };
                write!(f, "{word:<15}{}: {events}", name(execution.as_ref()))?;
                if *first < *done {
                    write!(f, ", {}", ids(*first, done.previous()))?;
                }
                tell(f, ": ", findings)
            }
            Self::WithoutDigest { execution, from, done } => {
                let (name, ids) = (name(execution.as_ref()), ids(*from, *done));
                write!(f, "not checkable  {name}, in {ids}: its `done` carries no digest")
            }
            Self::WithoutDone { from, to } => {
                write!(f, "not checkable  {}: their `done` is not there", ids(*from, *to))
            }
            Self::LastWords(n) => {
                write!(f, "not checkable  {n} closing events without ids, of turns that never were")
            }
            Self::Stray { findings, more } => {
                f.write_str("wrong          outside of these turns: ")?;
                tell(f, "", findings)?;
                match (findings.as_slice(), more) {
                    (_, 0) => Ok(()),
                    ([], more) => write!(f, "{more} findings more"),
                    (_, more) => write!(f, "; {more} findings more"),
                }
            }
        }
    }
}

fn tell(f: &mut fmt::Formatter<'_>, first: &str, findings: &[Finding]) -> fmt::Result {
    let betweens = std::iter::once(first).chain(std::iter::repeat("; "));
    betweens.zip(findings).try_for_each(|(between, finding)| write!(f, "{between}{finding}"))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { from, to } if from == to => write!(f, "id {from} is missing"),
            Self::Missing { from, to } => write!(f, "ids {from} to {to} are missing"),
            Self::Late { id, behind } => write!(f, "id {id} stands behind id {behind}"),
            Self::Doubled(id) => write!(f, "id {id} is there twice with different bytes"),
            Self::Forgotten(id) => write!(f, "id {id} comes again too late to be compared"),
            Self::Broken(id) => write!(f, "id {id} is altered: it holds no JSON object"),
            Self::BadId(text) => write!(f, "{text:?} is no id"),
            Self::Unnumbered => f.write_str("an event without an id"),
            Self::Altered => f.write_str("altered: the digest differs"),
            Self::Elsewhere { told, found } => {
                write!(
                    f,
                    "by its `events` it begins with id {told}, but a turn begins with {found}"
                )
            }
            Self::Nonsense => f.write_str("its `events` and `digest` cannot be read"),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, wrong, not_checkable } = self;
        write!(f, "{whole} ok, {wrong} wrong, {not_checkable} not checkable")
    }
}

fn name(execution: Option<&ExecutionId>) -> &str {
    execution.map_or("a turn without a name", ExecutionId::as_str)
}

fn ids(from: Seq, to: Seq) -> String {
    if from == to { format!("id {from}") } else { format!("ids {from} to {to}") }
}
