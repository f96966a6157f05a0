//! A turn's frames, summed up: how many they are, and the digest over their bytes.
//!
//! The digest is BLAKE3 over the canonical wire bytes of the frames, one after the other, from the
//! turn's first event on. Whoever has read the turn can take it again and so see that nothing was
//! lost, doubled, reordered or changed on the way, whichever way the frames came.
//!
//! Promises: a frame counts only if its number follows the one before; it keeps no frame. It knows
//! nothing of logs and clients, and not where a turn ends.

use crate::event::{Event, Seq};
use crate::sse::frame;

/// The frames of a turn so far, none missing.
#[derive(Debug, Clone)]
pub struct Transcript {
    first: Seq,
    /// The number of the frame that follows: `first` and as many as were taken.
    next: Seq,
    /// On the heap: two kilobytes that would move along with every turn.
    hasher: Box<blake3::Hasher>,
}

/// What a turn's `done` tells of the frames before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// How many they are.
    pub events: u64,
    /// The digest over their canonical wire bytes.
    pub digest: blake3::Hash,
}

/// A frame that is not the next one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {found} is not the next one, which is {expected}")]
pub struct OutOfOrder {
    /// The number that was due.
    pub expected: Seq,
    /// The number that came.
    pub found: Seq,
}

impl Transcript {
    /// A turn whose first event has the number `first`, and of which nothing is known yet.
    #[must_use]
    pub fn begin(first: Seq) -> Self {
        Self { first, next: first, hasher: Box::default() }
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`OutOfOrder`]; nothing was taken.
    pub fn take(&mut self, seq: Seq, event: &Event) -> Result<(), OutOfOrder> {
        if seq != self.next {
            return Err(OutOfOrder { expected: self.next, found: seq });
        }
        frame::canonical(seq, event, |piece| {
            self.hasher.update(piece);
        });
        self.next = seq.next();
        Ok(())
    }

    /// Takes frames whose numbers follow each other, the first being `first`.
    ///
    /// # Errors
    /// [`OutOfOrder`] if `first` is not the next number; nothing was taken.
    pub fn take_all(&mut self, first: Seq, events: &[Event]) -> Result<(), OutOfOrder> {
        let mut seq = first;
        for event in events {
            self.take(seq, event)?;
            seq = seq.next();
        }
        Ok(())
    }

    /// The number of the turn's first event.
    #[must_use]
    pub const fn first(&self) -> Seq {
        self.first
    }

    /// The number of the frame that follows what was taken.
    #[must_use]
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// What was taken so far.
    #[must_use]
    pub fn sum(&self) -> Sum {
        let events = self.next.get().saturating_sub(self.first.get());
        Sum { events, digest: self.hasher.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(text: &str) -> Event {
        Event::ours("message.part.updated", &json!({ "text": text }))
    }

    /// The definition once more, in plain text.
    fn digest_of(first: u64, texts: &[&str]) -> blake3::Hash {
        let frame = |(id, text): (u64, &&str)| {
            format!("id: {id}\nevent: message.part.updated\ndata: {{\"text\":\"{text}\"}}\n\n")
        };
        blake3::hash((first..).zip(texts).map(frame).collect::<String>().as_bytes())
    }

    #[test]
    fn the_digest_is_taken_over_the_frames_as_clients_get_them() {
        let mut transcript = Transcript::begin(Seq::new(9));
        assert_eq!(transcript.sum(), Sum { events: 0, digest: blake3::hash(b"") });
        transcript.take(Seq::new(9), &event("a")).expect("the first");
        transcript.take_all(Seq::new(10), &[event("b"), event("c")]).expect("the next");
        let sum = Sum { events: 3, digest: digest_of(9, &["a", "b", "c"]) };
        assert_eq!((transcript.sum(), transcript.next()), (sum, Seq::new(12)));
        // The text of another turn's frames is the same; their numbers are not.
        assert_ne!(sum.digest, digest_of(10, &["a", "b", "c"]));
    }

    #[test]
    fn a_frame_that_is_not_the_next_one_is_not_taken() {
        let mut transcript = Transcript::begin(Seq::new(4));
        transcript.take(Seq::new(4), &event("a")).expect("the first");
        let before = transcript.sum();
        for found in [0, 3, 4, 6] {
            let error = OutOfOrder { expected: Seq::new(5), found: Seq::new(found) };
            assert_eq!(transcript.take(Seq::new(found), &event("b")), Err(error.clone()));
            assert_eq!(transcript.take_all(Seq::new(found), &[event("b")]), Err(error));
        }
        assert_eq!((transcript.sum(), transcript.next()), (before, Seq::new(5)));
        assert_eq!(transcript.take_all(Seq::new(77), &[]), Ok(()));
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let mut transcript = Transcript::begin(Seq::new(1));
        transcript.take(Seq::new(1), &event("a")).expect("the first");
        let mut copy = transcript.clone();
        copy.take(Seq::new(2), &event("b")).expect("the next");
        assert_eq!(transcript.sum().digest, digest_of(1, &["a"]));
        assert_eq!(copy.sum().digest, digest_of(1, &["a", "b"]));
    }
}
