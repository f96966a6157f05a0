//! What a driver knows of its turn's frames, so that `done` can tell how many they are and their
//! digest.
//!
//! A turn that this process began is summed up as it goes: a frame is taken once, when its append
//! has resolved, and so not at all if the log refused it. A turn that was resumed is read back from
//! the log before its close-out, once, step by step. Where the log does not have all of a turn, its
//! `done` tells neither: nothing here keeps a turn from its end.

use crate::event::{Event, Seq};
use crate::log::{self, Batch, Logged, Step};
use crate::mode::Fidelity;
use crate::turn::control::TurnRecord;
use crate::turn::transcript::{OutOfOrder, Sum, Transcript};
use crate::upstream::CursorDelta;

use super::{Done, Driver, Parts};

/// The turn's frames in the log.
#[derive(Debug)]
pub(super) enum Frames {
    /// All of them.
    Known(Transcript),
    /// An earlier process has appended some, from this number on; they are still to be read.
    Unread(Seq),
    /// Some are lost, or nobody will be told: there is no sum.
    Unknown,
}

/// Why the frames of a resumed turn cannot be summed up.
#[derive(Debug, thiserror::Error)]
enum ReadBack {
    #[error("events {from} to {to} are lost")]
    Lost { from: Seq, to: Seq },
    #[error("the log ended")]
    Ended,
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
}

impl Frames {
    /// The frames of a turn at its driver's start.
    pub(super) fn of(parts: &Parts) -> Self {
        match (parts.fidelity, &parts.accept) {
            // There will be no `done`.
            (Fidelity::Result, _) => Self::Unknown,
            (Fidelity::Full, Some(_)) => Self::Known(Transcript::begin(parts.first)),
            (Fidelity::Full, None) => Self::Unread(parts.first),
        }
    }

    /// Takes what was appended, the first of it as number `first`.
    pub(super) fn take(&mut self, first: Seq, appended: &[Event]) {
        let Self::Known(transcript) = self else { return };
        if let Err(error) = transcript.take_all(first, appended) {
            // The law: a session's events are appended by the driver of its turn alone, so they
            // get the numbers that follow. If it were broken, a digest that was told would be wrong.
            tracing::error!(%error, "somebody else has appended events to the session of this turn");
            *self = Self::Unknown;
        }
    }

    /// The sum of all frames and of `closing` behind them, the first of which will be `next`.
    pub(super) fn sum(&self, next: Seq, closing: &[Event]) -> Option<Sum> {
        let Self::Known(transcript) = self else { return None };
        let mut transcript = transcript.clone();
        transcript.take_all(next, closing).ok()?;
        Some(transcript.sum())
    }
}

impl Driver {
    /// Reads what an earlier process has appended of the turn, unless that was done.
    pub(super) async fn know_frames(&mut self) -> Result<(), Done> {
        let Frames::Unread(first) = self.frames else { return Ok(()) };
        // A record behind all that there is, which changes nothing. If damage took the last events,
        // only a record behind them shows that they are gone; a cursor would wait for them.
        let mark = TurnRecord::Polled(CursorDelta::default()).encode();
        self.append(Batch::default().control(mark).urgent(), &[]).await?;
        self.frames = match self.read_back(first).await {
            Ok(transcript) => Frames::Known(transcript),
            Err(error) => {
                tracing::warn!(%error, "not all of the turn is in the log; it ends without a digest");
                Frames::Unknown
            }
        };
        Ok(())
    }

    /// The turn's frames up to the log's tail.
    async fn read_back(&self, first: Seq) -> Result<Transcript, ReadBack> {
        let tail = self.parts.log.tail().next_seq;
        let mut cursor = self.parts.log.cursor(first.previous());
        let mut transcript = Transcript::begin(first);
        while transcript.next() < tail {
            match cursor.next().await? {
                Step::Records(records) => {
                    for logged in records {
                        match logged {
                            Logged::Event { seq, event } => transcript.take(seq, &event)?,
                            Logged::Control(_) => {}
                        }
                    }
                }
                Step::Gap { from, to } => return Err(ReadBack::Lost { from, to }),
                Step::End => return Err(ReadBack::Ended),
            }
        }
        Ok(transcript)
    }
}
