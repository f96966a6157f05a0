//! Building a page: events with the cursor marks that they belong to, cut into steps that are
//! each one short append.
//!
//! An event and its mark are always in one step. Reading a name sees what this page has marked so
//! far, then the cursor.

use std::collections::BTreeMap;

use crate::event::{Event, EventName, WireJson};
use crate::limits;
use crate::upstream::{PageStep, PollCursor};

/// The JSON around a mark in a delta: quotes, colon, comma, or `null`.
const MARK_OVERHEAD: usize = 10;

/// A page in the making.
#[derive(Debug)]
pub(in crate::upstream) struct Pages<'c> {
    cursor: &'c PollCursor,
    marked: BTreeMap<String, Option<String>>,
    done: Vec<PageStep>,
    step: PageStep,
    event_bytes: usize,
    mark_bytes: usize,
}

impl<'c> Pages<'c> {
    pub(in crate::upstream) fn new(cursor: &'c PollCursor) -> Self {
        Self {
            cursor,
            marked: BTreeMap::new(),
            done: Vec::new(),
            step: PageStep::default(),
            event_bytes: 0,
            mark_bytes: 0,
        }
    }

    /// The value of a mark.
    pub(in crate::upstream) fn get(&self, name: &str) -> Option<&str> {
        match self.marked.get(name) {
            Some(change) => change.as_deref(),
            None => self.cursor.get(name),
        }
    }

    /// The names of marks in the cursor and on this page that start with `prefix`.
    pub(in crate::upstream) fn names(&self, prefix: &str) -> Vec<String> {
        let here =
            self.marked.iter().filter(|(name, value)| name.starts_with(prefix) && value.is_some());
        let mut names: Vec<String> = self
            .cursor
            .with_prefix(prefix)
            .map(|(name, _)| name.to_owned())
            .filter(|name| !self.marked.contains_key(name))
            .chain(here.map(|(name, _)| name.clone()))
            .collect();
        names.sort_unstable();
        names
    }

    /// Adds an event and sets its mark.
    pub(in crate::upstream) fn event(&mut self, event: Event, mark: &str, value: &str) {
        let bytes = event.len();
        self.make_room(bytes, mark.len() + value.len() + MARK_OVERHEAD);
        self.event_bytes += bytes;
        self.step.events.push(event);
        self.change(mark, Some(value));
    }

    /// Adds an event and forgets its mark.
    pub(in crate::upstream) fn last_event(&mut self, event: Event, mark: &str) {
        let bytes = event.len();
        self.make_room(bytes, mark.len() + MARK_OVERHEAD);
        self.event_bytes += bytes;
        self.step.events.push(event);
        self.change(mark, None);
    }

    /// Adds an event whose JSON was put together from the box's; what cannot be framed is told as
    /// a warning in its place, under the same mark.
    pub(in crate::upstream) fn assembled(
        &mut self,
        name: &'static str,
        json: &[u8],
        mark: &str,
        value: &str,
    ) {
        let event = match WireJson::from_json(json) {
            Ok(data) => Event { name: EventName::from_static(name), data },
            Err(_) => unreadable(name),
        };
        self.event(event, mark, value);
    }

    /// Sets a mark, if it has another value.
    pub(in crate::upstream) fn mark(&mut self, name: &str, value: &str) {
        if self.get(name) != Some(value) {
            self.make_room(0, name.len() + value.len() + MARK_OVERHEAD);
            self.change(name, Some(value));
        }
    }

    /// Forgets a mark, if it is there.
    pub(in crate::upstream) fn forget(&mut self, name: &str) {
        if self.get(name).is_some() {
            self.make_room(0, name.len() + MARK_OVERHEAD);
            self.change(name, None);
        }
    }

    /// Whether anything has been told or marked.
    pub(in crate::upstream) fn has_changes(&self) -> bool {
        !self.marked.is_empty()
    }

    /// The steps, in order; none if nothing changed.
    pub(in crate::upstream) fn finish(mut self) -> Vec<PageStep> {
        self.close_step();
        self.done
    }

    fn change(&mut self, name: &str, value: Option<&str>) {
        self.mark_bytes += name.len() + value.map_or(0, str::len) + MARK_OVERHEAD;
        match value {
            Some(value) => self.step.delta.set(name, value.to_owned()),
            None => self.step.delta.remove(name),
        }
        self.marked.insert(name.to_owned(), value.map(str::to_owned));
    }

    fn make_room(&mut self, event_bytes: usize, mark_bytes: usize) {
        if self.event_bytes + event_bytes > limits::MAX_STEP_BYTES
            || self.mark_bytes + mark_bytes > limits::MAX_CURSOR_STEP_BYTES
        {
            self.close_step();
        }
    }

    fn close_step(&mut self) {
        let step = std::mem::take(&mut self.step);
        if !step.events.is_empty() || !step.delta.is_empty() {
            self.done.push(step);
        }
        (self.event_bytes, self.mark_bytes) = (0, 0);
    }
}

/// What is shown in the place of something of the box's that cannot be.
pub(in crate::upstream) fn unreadable(what: &str) -> Event {
    gap(format!("the box sent a {what} that cannot be read; it is left out"))
}

/// A warning that something of the box's is missing.
pub(in crate::upstream) fn gap(message: String) -> Event {
    #[derive(serde::Serialize)]
    struct Warning {
        code: &'static str,
        message: String,
    }
    Event::ours("warning", &Warning { code: "UPSTREAM_GAP", message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::CursorDelta;

    fn event(bytes: usize) -> Event {
        Event::ours("e", &BTreeMap::from([("k", "x".repeat(bytes))]))
    }

    #[test]
    fn a_page_is_cut_into_short_steps_and_no_event_is_cut_from_its_mark() {
        let cursor = PollCursor::default();
        let mut pages = Pages::new(&cursor);
        for (n, size) in [600_000, 600_000, 10, 3_000_000, 10].into_iter().enumerate() {
            pages.event(event(size), &format!("p/{n}"), "1");
        }
        let steps = pages.finish();
        let shape: Vec<usize> = steps.iter().map(|step| step.events.len()).collect();
        assert_eq!(shape, [1, 2, 1, 1]);
        let mut folded = PollCursor::default();
        for (step, marks_so_far) in steps.into_iter().zip([1, 3, 4, 5]) {
            folded.fold(step.delta);
            assert_eq!(folded.with_prefix("p/").count(), marks_so_far);
        }
    }

    #[test]
    fn a_delta_stays_short_however_many_marks_change() {
        let cursor = PollCursor::default();
        let mut pages = Pages::new(&cursor);
        for n in 0..5000 {
            pages.mark(&format!("p/{n}"), &"v".repeat(40));
        }
        let steps = pages.finish();
        assert!(steps.len() > 1);
        for step in steps {
            assert!(step.delta.encode().len() <= limits::MAX_CURSOR_STEP_BYTES);
        }
    }

    #[test]
    fn names_follow_the_cursor_and_this_page() {
        let mut cursor = PollCursor::default();
        let mut delta = CursorDelta::default();
        for name in ["i/a", "i/b", "p/x"] {
            delta.set(name, "1".into());
        }
        cursor.fold(delta);
        let mut pages = Pages::new(&cursor);
        pages.mark("i/a", "1");
        assert!(!pages.has_changes());
        pages.forget("i/a");
        pages.mark("i/c", "1");
        assert_eq!(pages.names("i/"), ["i/b", "i/c"]);
        assert_eq!((pages.get("i/a"), pages.get("i/c")), (None, Some("1")));
    }
}
