//! README's table of families.

use std::collections::{BTreeMap, BTreeSet};

use super::readme::{code, rows};

/// What is said of one family.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) labels: BTreeSet<String>,
    pub(super) meaning: String,
}

/// All rows by the family's name; panics if one has two.
pub(super) fn families() -> BTreeMap<String, Row> {
    let mut families = BTreeMap::new();
    for cells in rows("| metric | type | labels | what it tells |") {
        let [name, kind, labels, meaning] = &cells[..] else { panic!("four cells: {cells:?}") };
        let row = Row { kind: kind.clone(), labels: code(labels), meaning: meaning.clone() };
        let before = families.insert(name.trim_matches('`').to_owned(), row);
        assert!(before.is_none(), "{name} has two rows");
    }
    families
}
