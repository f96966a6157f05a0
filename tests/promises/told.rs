//! What an adapter has told of a turn, held against itself and against the box.

use std::collections::BTreeMap;

use afterbay::event::Event;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::record::Record;

/// How a part is told.
pub(super) const PART: &str = "message.part.updated";

/// All that was told, in order.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    /// The last telling of each part, by its id.
    parts: BTreeMap<String, String>,
    /// The sizes of all tellings of each part.
    sizes: BTreeMap<String, Vec<usize>>,
    /// Deltas that added to a text which was there.
    pub(super) additions: usize,
}

#[derive(Deserialize)]
struct PartUpdated<'a> {
    #[serde(borrow)]
    part: &'a RawValue,
    delta: Option<String>,
}

fn part_of(event: &Event) -> Option<PartUpdated<'_>> {
    let is_part = event.name.as_bytes() == PART.as_bytes();
    is_part.then(|| serde_json::from_slice(event.data.as_bytes()).expect("a part"))
}

fn text_of(part: &str) -> Option<String> {
    let part: Value = serde_json::from_str(part).expect("a part");
    let is_text = part["type"] == "text" || part["type"] == "reasoning";
    is_text.then(|| part["text"].as_str().unwrap_or_default().to_owned())
}

impl Told {
    /// Every part that is told stands so, token for token, in what the box has just served.
    pub(super) fn check_served(events: &[Event], served: &[String]) {
        for told in events.iter().filter_map(part_of) {
            let part = told.part.get();
            let is_there = served.iter().any(|body| body.contains(part));
            assert!(is_there, "the box did not say {}", part.get(..200).unwrap_or(part));
        }
    }

    pub(super) fn take_in(&mut self, events: Vec<Event>) {
        for event in &events {
            let Some(PartUpdated { part, delta }) = part_of(event) else { continue };
            let json: Value = serde_json::from_str(part.get()).expect("a part");
            let id = json["id"].as_str().expect("a part has an id").to_owned();
            let before = self.parts.get(&id);
            assert_ne!(before.map(String::as_str), Some(part.get()), "a part is told twice");
            if let Some(delta) = delta {
                let old = before.and_then(|part| text_of(part)).unwrap_or_default();
                let text = text_of(part.get()).expect("only texts have deltas");
                assert_eq!(format!("{old}{delta}"), text, "the deltas do not make up the text");
                self.additions += usize::from(!old.is_empty());
            }
            self.sizes.entry(id.clone()).or_default().push(part.get().len());
            self.parts.insert(id, part.get().to_owned());
        }
        self.events.extend(events);
    }

    /// The last that was told is what the box has, part by part, and nothing else.
    pub(super) fn check_against(&self, record: &Record) {
        let mut told: Vec<&str> = self.parts.values().map(String::as_str).collect();
        let mut there: Vec<&str> = record.parts().collect();
        told.sort_unstable();
        there.sort_unstable();
        assert!(!there.is_empty(), "the box has nothing on record");
        assert_eq!(told, there, "told, and on the box's record");
    }

    /// The ids of all parts.
    pub(super) fn part_ids(&self) -> impl Iterator<Item = &String> {
        self.parts.keys()
    }

    /// For each part the bytes of its tellings beyond `small`, how many there are of them, and the
    /// size of the last one.
    pub(super) fn growth(&self, small: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        self.sizes.values().map(move |sizes| {
            let large = sizes.iter().filter(|size| **size > small);
            let last = sizes.last().copied().unwrap_or_default();
            (large.clone().sum(), large.count(), last)
        })
    }

    /// How many events have this name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.events.iter().filter(|event| event.name.as_bytes() == name.as_bytes()).count()
    }
}
