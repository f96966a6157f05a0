//! The command line's part of the configuration, built from the table of keys.
//!
//! It only collects text: what the text means, and whether it may be given, is decided where
//! the other sources are read too. A secret has no flag, since a command line is visible to all;
//! that it was tried is noted, without the value, so that the way to give it can be told.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::keys::{Key, ROWS, Takes, help};

/// The values given as flags.
#[derive(Clone, Default)]
pub struct Flags(BTreeMap<Key, String>);

impl Flags {
    /// One flag alone.
    pub(super) fn of(key: Key, text: String) -> Self {
        Self(BTreeMap::from([(key, text)]))
    }

    /// The value of `key`'s flag; several of a list are joined by commas.
    pub(super) fn text(&self, key: Key) -> Option<&str> {
        self.0.get(&key).map(String::as_str)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL with a password in it is a mistake, but it must not be shown before it is told.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        ROWS.iter().fold(command, |command, row| {
            let flag = Arg::new(row.name).long(row.name).help(help(row));
            command.arg(match row.takes {
                Takes::One(word) => flag.value_name(word).action(ArgAction::Set),
                Takes::Many(word) => flag.value_name(word).action(ArgAction::Append),
                Takes::Switch => flag
                    .value_name("true|false")
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true"),
                Takes::Secret => flag
                    .hide(true)
                    .num_args(0..=1)
                    .allow_hyphen_values(true)
                    .default_missing_value(""),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = ROWS.iter().filter_map(|row| {
            let values = matches.get_many::<String>(row.name)?;
            let text = match row.takes {
                Takes::Secret => String::new(),
                Takes::One(_) | Takes::Many(_) | Takes::Switch => {
                    values.cloned().collect::<Vec<_>>().join(",")
                }
            };
            Some((row.key, text))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}
