//! README's tables, and the one that lists the values of labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The listed values of each label; of what is told in words there are none.
pub(crate) fn label_values() -> BTreeMap<String, BTreeSet<String>> {
    let mut values = BTreeMap::new();
    for cells in rows("| label | values |") {
        let [label, listed] = &cells[..] else { panic!("two cells: {cells:?}") };
        let before = values.insert(label.trim_matches('`').to_owned(), code(listed));
        assert!(before.is_none(), "{label} has two rows");
    }
    values
}

/// The cells of each row of the table with this head; panics if there is none.
pub(crate) fn rows(head: &str) -> Vec<Vec<String>> {
    let readme = fs::read_to_string(README).expect("README");
    let (_, below) = readme.split_once(head).expect("a table in README");
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What stands between backticks.
pub(crate) fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
