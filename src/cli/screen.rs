//! What people see: colours where there is a terminal, times in words, and nothing that a box could
//! do to a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use crate::config::Environment;

/// How lines are painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// With colours.
    Colours,
    /// As plain text.
    Plain,
}

impl Paint {
    /// What `output` wants: colours on a terminal that has them, unless `NO_COLOR` is set.
    pub(super) fn of(output: &impl IsTerminal, environment: &Environment) -> Self {
        if output.is_terminal() && !environment.is_plain() { Self::Colours } else { Self::Plain }
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.painted("2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.painted("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.painted("31", text)
    }

    pub(super) fn name(self, text: &str) -> String {
        self.painted("36", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        match self {
            Self::Colours => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Whether a progress line can be drawn and wiped on stderr.
pub(super) fn has_progress(environment: &Environment) -> bool {
    io::stderr().is_terminal() && !environment.is_dumb()
}

/// `text` on one line, with what moves a cursor or changes a terminal written out, and at most so many
/// characters of it.
pub(super) fn harmless(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at >= most {
            out.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Marks that change the order in which text is shown.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Milliseconds as people say them: `340ms`, `12s`, `3m05s`, `2h10m`, `4d03h`.
pub(super) fn brief(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Rows under each other, each column as wide as its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_box_reaches_a_terminal_as_a_command() {
        let shown = harmless("a\u{1b}[2J\r\n\u{9b}31m\u{202e}é\0", 100);
        assert_eq!(shown, "a\\u{1b}[2J\\r\\n\\u{9b}31m\\u{202e}é\\u{0}");
        assert_eq!(harmless("abcdef", 3), "abc…");
    }

    #[test]
    fn times_are_brief() {
        for (millis, told) in [
            (0, "0ms"),
            (999, "999ms"),
            (59_999, "59s"),
            (185_000, "3m05s"),
            (7_800_000, "2h10m"),
            (356_400_000, "4d03h"),
        ] {
            assert_eq!(brief(millis), told);
        }
    }

    #[test]
    fn colours_are_added_only_where_they_are_wanted() {
        assert_eq!(Paint::Plain.good("x"), "x");
        assert_eq!(Paint::Colours.good("x"), "\u{1b}[32mx\u{1b}[0m");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect();
        assert_eq!(
            table(&[row(&["a", "b"]), row(&["long", ""]), row(&["é", "c"])]),
            "a     b\nlong\né     c\n"
        );
    }
}
