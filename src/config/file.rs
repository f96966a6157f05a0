//! The TOML file: read once, flattened to the same texts that flags and variables give.
//!
//! A key that the table does not know is a mistake, never ignored, and so is a value of another
//! shape than text, number, switch or list of texts. The parser's own complaint is told with its
//! line, but without the line's text: it may hold what was meant to be a secret.
//!
//! A table `[boxes.NAME]` holds the keys of `[box]` for one more box. It is kept apart, in the order
//! of the file, and is read like a file of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use super::keys::{Key, ROWS, Row};
use super::mistake::{Mistake, Origin};
use crate::ids::BoxName;
use crate::limits;

/// The section of the further boxes.
const BOXES: &str = "boxes";

/// The values of a file, and whose they are.
#[derive(Default)]
pub(super) struct File {
    values: BTreeMap<Key, (Origin, String)>,
    boxes: Vec<BoxTable>,
}

/// One table `[boxes.NAME]`.
pub(super) struct BoxTable {
    /// Its name, if it is one; else that is among the mistakes.
    pub(super) name: Option<BoxName>,
    /// Where it stands: the file, and the table's full name.
    pub(super) path: Arc<PathBuf>,
    pub(super) place: String,
    /// Its values, like those of a file.
    pub(super) values: File,
}

impl BoxTable {
    /// Where `key` of this table stands, whether it is there or not.
    pub(super) fn origin(&self, key: &str) -> Origin {
        Origin::File(Arc::clone(&self.path), format!("{}.{key}", self.place))
    }
}

impl File {
    /// The value of `key` with its place.
    pub(super) fn text(&self, key: Key) -> Option<(Origin, &str)> {
        self.values.get(&key).map(|(origin, text)| (origin.clone(), text.as_str()))
    }

    /// Takes the tables of the further boxes out, in the order of the file.
    pub(super) fn take_boxes(&mut self) -> Vec<BoxTable> {
        std::mem::take(&mut self.boxes)
    }

    /// Reads `path`. What can be read is kept beside the mistakes, so that all are told at once.
    pub(super) fn read(path: &Path, mistakes: &mut Vec<Mistake>) -> Self {
        let path = Arc::new(path.to_owned());
        let read = read_bounded(&path).and_then(|text| parse(&text));
        match read {
            Ok(table) => Self::from_table(&path, &table, mistakes),
            Err(what) => {
                mistakes.push(Mistake { origin: Origin::File(path, String::new()), what });
                Self::default()
            }
        }
    }

    fn from_table(path: &Arc<PathBuf>, table: &Table, mistakes: &mut Vec<Mistake>) -> Self {
        let mut file = Self::default();
        for (name, value) in leaves(table) {
            let origin = Origin::File(Arc::clone(path), name.clone());
            let row = ROWS.iter().find(|row| row.file == name).ok_or_else(|| unknown(&name));
            file.keep(origin, row, value, mistakes);
        }
        let boxes = match table.get(BOXES) {
            Some(Value::Table(boxes)) => boxes,
            Some(_) => {
                let origin = Origin::File(Arc::clone(path), BOXES.to_owned());
                mistakes.push(Mistake { origin, what: NO_BOX_TABLE.to_owned() });
                return file;
            }
            None => return file,
        };
        for (number, (name, value)) in boxes.iter().enumerate() {
            file.boxes.push(box_table(path, number + 1, name, value, mistakes));
        }
        file
    }

    fn keep(
        &mut self,
        origin: Origin,
        row: Result<&Row, String>,
        value: &Value,
        mistakes: &mut Vec<Mistake>,
    ) {
        match row.and_then(|row| Ok((row.key, text_of(value)?))) {
            Ok((key, text)) => {
                self.values.insert(key, (origin, text));
            }
            Err(what) => mistakes.push(Mistake { origin, what }),
        }
    }
}

const NO_BOX_TABLE: &str = "a further box is a table of its own: [boxes.NAME]";

/// What is no name is not repeated: it may hold anything.
fn box_table(
    path: &Arc<PathBuf>,
    number: usize,
    name: &str,
    value: &Value,
    mistakes: &mut Vec<Mistake>,
) -> BoxTable {
    let name = BoxName::parse(name);
    let shown = name.as_ref().map_or_else(|_| format!("(table {number})"), ToString::to_string);
    let place = format!("{BOXES}.{shown}");
    let whole = Origin::File(Arc::clone(path), place.clone());
    if let Err(invalid) = &name {
        let what = format!("the name of the {invalid}");
        mistakes.push(Mistake { origin: whole.clone(), what });
    }
    let mut table =
        BoxTable { name: name.ok(), path: Arc::clone(path), place, values: File::default() };
    let Value::Table(keys) = value else {
        mistakes.push(Mistake { origin: whole, what: NO_BOX_TABLE.to_owned() });
        return table;
    };
    for (key, value) in keys {
        let row = ROWS.iter().find(|row| row.of_a_box() == Some(key));
        let row = row.ok_or_else(|| unknown(&format!("{}.{key}", table.place)));
        let origin = table.origin(key);
        table.values.keep(origin, row, value, mistakes);
    }
    table
}

/// Reads a small text file; the file's name is the caller's to tell.
pub(super) fn read_bounded(path: &Path) -> Result<String, String> {
    let bytes = read_bytes_bounded(path)?;
    String::from_utf8(bytes).map_err(|_| "cannot be read: it is not UTF-8".to_owned())
}

/// As [`read_bounded`], for files whose comments may be in any encoding.
pub(super) fn read_bytes_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(limits::MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > limits::MAX_CONFIG_BYTES => {
            Err(format!("the file has more than {} bytes", limits::MAX_CONFIG_BYTES))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!("line {line}: {}", error.message().lines().next().unwrap_or("is not TOML"))
    })
}

/// The values below `table` under their full names. Sections go one level deep and no deeper, so a
/// table inside a section is a value, and one of no shape that a key takes.
fn leaves(table: &Table) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (name, value) in table.iter().filter(|(name, _)| *name != BOXES) {
        if let Value::Table(section) = value {
            found.extend(section.iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        } else {
            found.push((name.clone(), value));
        }
    }
    found
}

fn unknown(name: &str) -> String {
    // A box's name may hold dots, a key does not.
    let section = name.rsplit_once('.').map_or("", |(section, _)| section);
    let of_a_box = section.starts_with("boxes.");
    if name == "box.credential" || (of_a_box && name.ends_with(".credential")) {
        return format!(
            "a secret does not stand in this file; name its file in {section}.credential_file"
        );
    }
    let sections = ROWS.iter().filter_map(|row| row.file.split_once('.'));
    let like = if of_a_box { "box" } else { section };
    let mut near: Vec<_> =
        sections.filter(|(other, _)| *other == like).map(|(_, key)| key).collect();
    near.sort_unstable();
    if near.is_empty() {
        "there is no such key".to_owned()
    } else {
        format!("there is no such key; [{section}] has {}", near.join(", "))
    }
}

fn text_of(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(",")).ok_or_else(|| "a list here holds texts".to_owned())
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
            Err("a value here is a text, a number, true, false or a list of texts".to_owned())
        }
    }
}
