//! The TOML file: read once, flattened to the same texts that flags and variables give.
//!
//! A key that the table does not know is a mistake, never ignored, and so is a value of another
//! shape than text, number, switch or list of texts. The parser's own complaint is told with its
//! line, but without the line's text: it may hold what was meant to be a secret.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use super::keys::{Key, ROWS};
use super::mistake::{Mistake, Origin};
use crate::limits;

/// The values of a file, and whose they are.
#[derive(Default)]
pub(super) struct File {
    values: BTreeMap<Key, (Origin, String)>,
}

impl File {
    /// The value of `key` with its place.
    pub(super) fn text(&self, key: Key) -> Option<(Origin, &str)> {
        self.values.get(&key).map(|(origin, text)| (origin.clone(), text.as_str()))
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
            let text = ROWS
                .iter()
                .find(|row| row.file == name)
                .ok_or_else(|| unknown(&name))
                .and_then(|row| Ok((row.key, text_of(value)?)));
            match text {
                Ok((key, text)) => {
                    file.values.insert(key, (origin, text));
                }
                Err(what) => mistakes.push(Mistake { origin, what }),
            }
        }
        file
    }
}

/// Reads a small text file; the file's name is the caller's to tell.
pub(super) fn read_bounded(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(limits::MAX_CONFIG_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(length) if length as u64 > limits::MAX_CONFIG_BYTES => {
            Err(format!("the file has more than {} bytes", limits::MAX_CONFIG_BYTES))
        }
        Ok(_) => Ok(text),
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
    for (name, value) in table {
        if let Value::Table(section) = value {
            found.extend(section.iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        } else {
            found.push((name.clone(), value));
        }
    }
    found
}

fn unknown(name: &str) -> String {
    if name == "box.credential" {
        return "a secret does not stand in this file; name its file in box.credential_file".into();
    }
    let sections = ROWS.iter().filter_map(|row| row.file.split_once('.'));
    let section = name.split_once('.').map_or("", |(section, _)| section);
    let mut near: Vec<_> =
        sections.filter(|(other, _)| *other == section).map(|(_, key)| key).collect();
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
