//! The table of what each client delivered under what.

use super::cast::Reader;

/// What came of one client in one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Everything that should be delivered was.
    Ok,
    /// So much as this client can have: checked, too, and what it cannot have is said.
    Less(&'static str),
    /// The client is not installed.
    Skipped,
    /// What is wrong.
    Failed(String),
}

impl From<Result<(), String>> for Cell {
    fn from(checked: Result<(), String>) -> Self {
        checked.map_or_else(Self::Failed, |()| Self::Ok)
    }
}

/// One scenario, with a cell for each client.
#[derive(Debug)]
pub(crate) struct Column {
    name: &'static str,
    cells: Vec<(Reader, Cell)>,
}

impl Column {
    /// Prints what has failed at once: a test that runs out of its time prints no table.
    pub(crate) fn new(name: &'static str, cells: Vec<(Reader, Cell)>) -> Self {
        for (reader, cell) in &cells {
            if let Cell::Failed(why) = cell {
                println!("{name}: {}: {why}", reader.name());
            }
        }
        Self { name, cells }
    }
}

/// Prints the table, and what is to be said of its cells.
///
/// # Panics
/// If a cell has failed.
pub(crate) fn print(title: &str, columns: &[Column]) {
    let head: String = columns.iter().map(|column| format!("{:>11}", column.name)).collect();
    println!("{title:<30}{head}");
    let mut notes: Vec<&str> = Vec::new();
    for reader in Reader::ALL {
        let cells = columns.iter().flat_map(|column| &column.cells);
        let own = cells.filter(|(other, _)| *other == reader);
        let shown: String =
            own.map(|(_, cell)| format!("{:>11}", cell.shown(&mut notes))).collect();
        println!("{:<30}{shown}", reader.name());
    }
    for (number, note) in notes.iter().enumerate() {
        println!("({}) {note}", number + 1);
    }
    let mut cells = columns.iter().flat_map(|column| &column.cells);
    let failed = cells.any(|(_, cell)| matches!(cell, Cell::Failed(_)));
    assert!(!failed, "cells have failed");
}

impl Cell {
    fn shown<'a>(&'a self, notes: &mut Vec<&'a str>) -> String {
        let (shown, note) = match self {
            Self::Ok => return "ok".to_owned(),
            Self::Skipped => return "SKIPPED".to_owned(),
            Self::Less(why) => ("ok", *why),
            Self::Failed(why) => ("FAILED", why.as_str()),
        };
        let known = notes.iter().position(|other| *other == note);
        let number = known.unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        format!("{shown} ({})", number + 1)
    }
}
