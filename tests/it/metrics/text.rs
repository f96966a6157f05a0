//! Prometheus' text format, read as far as its tests need it.

use std::collections::{BTreeMap, BTreeSet};

/// All that was scraped.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) whole: String,
    /// By name.
    pub(super) families: BTreeMap<String, Family>,
}

/// One family.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: String,
    pub(super) help: String,
    /// Its labels with the values that they have, a histogram's `le` left out.
    pub(super) labels: BTreeMap<String, BTreeSet<String>>,
}

impl Text {
    /// Panics at a line that it does not understand, or that belongs to no family.
    pub(super) fn parse(whole: String) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        for line in whole.lines() {
            if let Some(said) = line.strip_prefix("# HELP ") {
                let (name, help) = said.split_once(' ').expect("a help text");
                let family = Family { help: help.to_owned(), ..Family::default() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} twice");
            } else if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').expect("a type");
                families.get_mut(name).expect("a help text first").kind = kind.to_owned();
            } else {
                take_sample(&mut families, line);
            }
        }
        Self { whole, families }
    }

    /// The values of each label, over all families.
    pub(super) fn values(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (label, values) in self.families.values().flat_map(|family| &family.labels) {
            all.entry(label.clone()).or_default().extend(values.iter().cloned());
        }
        all
    }
}

fn take_sample(families: &mut BTreeMap<String, Family>, line: &str) {
    let name = line.split(['{', ' ']).next().expect("a name");
    let parts = ["_bucket", "_sum", "_count"].into_iter();
    let of_histogram = parts.filter_map(|part| name.strip_suffix(part)).next();
    let own = if families.contains_key(name) { Some(name) } else { of_histogram };
    let family = own.and_then(|own| families.get_mut(own));
    let family = family.unwrap_or_else(|| panic!("{line} belongs to no family"));
    let Some((_, labels)) = line.split_once('{') else { return };
    let (labels, _) = labels.rsplit_once('}').expect("an end of the labels");
    for pair in labels.split_inclusive("\",").map(|pair| pair.trim_end_matches(',')) {
        let (label, value) = pair.split_once('=').expect("a value");
        if label != "le" {
            let value = value.trim_matches('"').to_owned();
            family.labels.entry(label.to_owned()).or_default().insert(value);
        }
    }
}
