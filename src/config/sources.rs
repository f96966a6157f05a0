//! Flags, environment and file brought together: for each key the value that counts.
//!
//! Precedence: flag, environment, file, default. A value that does not count is not judged,
//! except that the file's keys must exist. Mistakes are gathered, never returned early.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::file::{BoxTable, File, read_bounded};
use super::flags::Flags;
use super::keys::{Absent, CONFIG_VARIABLE, Key, ROWS, Row};
use super::mistake::{Mistake, Mistakes, Origin};
use crate::credential::Credential;
use crate::limits;

/// All sources, and what was found wrong so far.
pub(super) struct Sources<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    file: File,
    /// The table that these are the values of, if they are not the program's.
    table: Option<BoxTable>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Sources<'a> {
    /// Opens the sources; `config` is the value of `--config`.
    pub(super) fn open(
        config: Option<&Path>,
        flags: &'a Flags,
        environment: &'a Environment,
    ) -> Self {
        let mut mistakes = Vec::new();
        let named = config.map(Path::to_owned);
        let file = named.or_else(|| environment.os(CONFIG_VARIABLE).map(PathBuf::from));
        let file = file.map(|path| File::read(&path, &mut mistakes)).unwrap_or_default();
        let warnings = unknown_variables(environment);
        Self { flags, environment, file, table: None, mistakes, warnings }
    }

    /// What was read of them, with what its owner should hear about it.
    ///
    /// # Errors
    /// [`Mistakes`]: all that were noted on the way.
    pub(super) fn give<T>(self, found: Option<T>) -> Result<(T, Vec<String>), Mistakes> {
        let Self { mistakes, warnings, .. } = self;
        match found {
            Some(found) if mistakes.is_empty() => Ok((found, warnings)),
            Some(_) | None => Err(Mistakes { mistakes, warnings }),
        }
    }

    /// Takes the tables of the further boxes out, in the order of the file.
    pub(super) fn take_boxes(&mut self) -> Vec<BoxTable> {
        self.file.take_boxes()
    }

    /// Has `read` read the values of one table: neither flag nor variable counts there.
    pub(super) fn within<T>(
        &mut self,
        mut table: BoxTable,
        read: impl FnOnce(&mut Sources<'_>) -> T,
    ) -> T {
        let (flags, environment) = (Flags::default(), Environment::default());
        let file = std::mem::take(&mut table.values);
        let (mistakes, warnings) = (Vec::new(), Vec::new());
        let table = Some(table);
        let mut sources =
            Sources { flags: &flags, environment: &environment, file, table, mistakes, warnings };
        let read = read(&mut sources);
        self.mistakes.append(&mut sources.mistakes);
        read
    }

    /// Where a value of `key` was given, if it was, be it right or wrong.
    pub(super) fn place_of(&self, key: Key) -> Option<Origin> {
        let row = row_of(key)?;
        if self.flags.text(key).is_some() {
            return Some(Origin::Flag(row.name));
        }
        let plain = row.variable();
        let filed = row.flag().is_none().then(|| format!("{plain}_FILE"));
        let mut variables = std::iter::once(plain).chain(filed);
        let given = variables.find(|name| self.environment.os(name).is_some());
        let in_file = || self.file.text(key).map(|(origin, _)| origin);
        given.map(Origin::Environment).or_else(in_file)
    }

    /// The environment itself, for defaults that follow from it.
    pub(super) fn environment(&self) -> &Environment {
        self.environment
    }

    /// Reads `key` with `parse`. `None` if it is wrong or missing; then a mistake is noted.
    pub(super) fn read<T>(
        &mut self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read_with_origin(key, parse).map(|(value, _)| value)
    }

    /// As [`Sources::read`], with the place that the value came from.
    pub(super) fn read_with_origin<T>(
        &mut self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<(T, Origin)> {
        let row = row_of(key)?;
        let Some((origin, text)) = self.given(row).or_else(|| default_of(row)) else {
            let (origin, what) = self.missing(row);
            self.note(origin, what);
            return None;
        };
        match parse(&text) {
            Ok(value) => Some((value, origin)),
            Err(what) => {
                self.note(origin, what);
                None
            }
        }
    }

    /// Reads a key that may be absent: `Some(None)` if it is.
    pub(super) fn read_optional<T>(
        &mut self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let row = row_of(key)?;
        let Some((origin, text)) = self.given(row) else {
            return Some(None);
        };
        match parse(&text) {
            Ok(value) => Some(Some(value)),
            Err(what) => {
                self.note(origin, what);
                None
            }
        }
    }

    /// Reads the secret `key` with `parse`, which says nothing of it in a mistake: from its variable, from the file that its `…_FILE` variable names,
    /// or from the file that the configuration file names.
    pub(super) fn read_secret<T>(
        &mut self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let row = row_of(key)?;
        let (plain, filed) = (row.variable(), format!("{}_FILE", row.variable()));
        if self.flags.text(key).is_some() {
            let what = format!("a command line is visible to others; use {plain} or {filed}");
            self.note(Origin::Flag(row.name), what);
            return None;
        }
        let both = self.environment.os(&plain).and(self.environment.os(&filed)).is_some();
        if both {
            self.note(Origin::Environment(plain), format!("is set, and so is {filed}; keep one"));
            return None;
        }
        let (origin, secret) = match self.environment.text(&plain) {
            Err(_) => (Origin::Environment(plain), Err("is not UTF-8".to_owned())),
            Ok(Some(text)) => (Origin::Environment(plain), parse(text)),
            Ok(None) => {
                let named = match self.environment.os(&filed) {
                    Some(path) => Some((Origin::Environment(filed), PathBuf::from(path))),
                    None => self.file.text(key).map(|(origin, path)| (origin, path.into())),
                };
                let Some((origin, path)) = named else {
                    return Some(None);
                };
                let told = |what| format!("the file {} {what}", path.display());
                let text = read_bounded(&path).map_err(told);
                (origin, text.and_then(|text| parse(&text)))
            }
        };
        match secret {
            Ok(secret) => Some(Some(secret)),
            Err(what) => {
                self.note(origin, what);
                None
            }
        }
    }

    /// Notes a mistake.
    pub(super) fn note(&mut self, origin: Origin, what: String) {
        self.mistakes.push(Mistake { origin, what });
    }

    fn missing(&self, row: &Row) -> (Origin, String) {
        if let Some((table, key)) = self.table.as_ref().zip(row.of_a_box()) {
            return (table.origin(key), "is missing; each box has its own".to_owned());
        }
        let Row { name, file, .. } = row;
        let variable = row.variable();
        let or = if row.key == Key::Box { ", or a table [boxes.NAME], or `api`" } else { "" };
        (Origin::Whole, format!("`{name}` is missing; give --{name}, {variable} or `{file}`{or}"))
    }

    fn given(&mut self, row: &'static Row) -> Option<(Origin, String)> {
        if let Some(text) = self.flags.text(row.key) {
            return Some((Origin::Flag(row.name), text.to_owned()));
        }
        let variable = row.variable();
        match self.environment.text(&variable) {
            Ok(Some(text)) => return Some((Origin::Environment(variable), text.to_owned())),
            Ok(None) => {}
            Err(_) => self.note(Origin::Environment(variable), "is not UTF-8".to_owned()),
        }
        self.file.text(row.key).map(|(origin, text)| (origin, text.to_owned()))
    }
}

fn row_of(key: Key) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}

fn default_of(row: &Row) -> Option<(Origin, String)> {
    match row.default {
        Absent::Text(text) => Some((Origin::Default, text())),
        Absent::Told(_) | Absent::Required => None,
    }
}

/// Checks the value of an Authorization header. Says nothing of it in a mistake.
pub(super) fn credential(text: &str) -> Result<Credential, String> {
    let value = text.trim_end_matches(['\r', '\n']);
    let visible = |byte: u8| (b' '..=b'~').contains(&byte);
    if value.trim().is_empty() {
        Err("holds an empty credential".to_owned())
    } else if value.len() > limits::MAX_CREDENTIAL_BYTES {
        Err(format!("holds more than {} bytes", limits::MAX_CREDENTIAL_BYTES))
    } else if !value.bytes().all(visible) {
        Err("holds characters that no Authorization header can".to_owned())
    } else if !value.trim().contains(' ') {
        Err("must hold a whole Authorization header, with its scheme: `Bearer …`".to_owned())
    } else {
        Ok(Credential::new(value.trim()))
    }
}

/// A misspelt variable would be ignored in silence; one that an orchestrator adds for a service
/// named afterbay (`AFTERBAY_PORT`, `AFTERBAY_SERVICE_HOST`, …) is nobody's mistake.
fn unknown_variables(environment: &Environment) -> Vec<String> {
    let known = |name: &str| {
        name == CONFIG_VARIABLE
            || ROWS.iter().any(|row| {
                let filed = row.flag().is_none() && name == format!("{}_FILE", row.variable());
                name == row.variable() || filed
            })
    };
    let orchestrator =
        |name: &str| name.starts_with("AFTERBAY_PORT") || name.starts_with("AFTERBAY_SERVICE_");
    let names = environment.names_with("AFTERBAY_");
    names
        .filter(|name| !known(name) && !orchestrator(name))
        .map(|name| format!("{name} is not a variable of afterbay and is ignored"))
        .collect()
}
