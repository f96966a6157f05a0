//! README's two tables about metrics: the families, and the values of their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Both tables.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) families: BTreeMap<String, Row>,
    /// The listed values of each label; what is in the configuration is told in words, and is empty.
    pub(crate) values: BTreeMap<String, BTreeSet<String>>,
}

/// What is said of one family.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) meaning: String,
}

impl Table {
    /// Panics if a family or a label has two rows, or a table is missing.
    pub(crate) fn of_readme() -> Self {
        let mut families = BTreeMap::new();
        for cells in rows_of_readme("| metric | type | labels | what it tells |") {
            let [name, kind, labels, meaning] = &cells[..] else { panic!("four cells: {cells:?}") };
            let row =
                Row { kind: kind.clone(), labels: code(labels), meaning: meaning.replace('`', "") };
            let before = families.insert(name.trim_matches('`').to_owned(), row);
            assert!(before.is_none(), "{name} has two rows");
        }
        let mut values = BTreeMap::new();
        for cells in rows_of_readme("| label | values |") {
            let [label, listed] = &cells[..] else { panic!("two cells: {cells:?}") };
            let before = values.insert(label.trim_matches('`').to_owned(), code(listed));
            assert!(before.is_none(), "{label} has two rows");
        }
        Self { families, values }
    }
}

/// The cells of each row of README's table with this head.
pub(crate) fn rows_of_readme(head: &str) -> Vec<Vec<String>> {
    let readme = fs::read_to_string(README).expect("README");
    let (_, below) = readme.split_once(head).expect("a table in README");
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What stands between backticks.
fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
