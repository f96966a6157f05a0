//! The file of own tokens: one on each line, alone or behind a name for the operator's eyes.
//!
//! Blank lines and those that begin with `#` say nothing. Every mistake is told by the number of its
//! line and without a word of it, names included: whoever mixes the two up must not read the token
//! in a log.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::file::read_bounded;
use crate::credential::OwnToken;
use crate::limits;

/// What a file holds, and what its owner should hear about it.
#[derive(Debug)]
pub(super) struct TokensFile {
    pub(super) tokens: Vec<OwnToken>,
    pub(super) warning: Option<String>,
}

/// Reads the file at `path`.
pub(super) fn read(path: &str) -> Result<TokensFile, String> {
    let named = Path::new(path);
    let told = |what| format!("the file {path} {what}");
    let tokens = read_bounded(named).and_then(|text| parse(&text)).map_err(told)?;
    let mode = std::fs::metadata(named).map_or(0, |found| found.permissions().mode());
    let warning = (mode & 0o004 != 0).then(|| {
        format!("the file {path} holds tokens and can be read by everyone on this machine")
    });
    Ok(TokensFile { tokens, warning })
}

fn parse(text: &str) -> Result<Vec<OwnToken>, String> {
    let (mut tokens, mut seen) = (Vec::new(), HashSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split_ascii_whitespace();
        let token = match (words.next(), words.next(), words.next()) {
            (None, ..) => continue,
            (Some(word), ..) if word.starts_with('#') => continue,
            (Some(token), None, _) | (Some(_), Some(token), None) => token,
            (Some(_), Some(_), Some(_)) => {
                return Err(format!("has more than a name and a token on line {number}"));
            }
        };
        check(token).map_err(|what| format!("has on line {number} a token {what}"))?;
        if !seen.insert(token) {
            return Err(format!("has on line {number} a token that stands there before"));
        }
        tokens.push(OwnToken::new(token));
    }
    match tokens.len() {
        0 => Err("holds no token".to_owned()),
        many if many > limits::MAX_OWN_TOKENS => {
            Err(format!("holds more than {} tokens", limits::MAX_OWN_TOKENS))
        }
        _ => Ok(tokens),
    }
}

fn check(token: &str) -> Result<(), String> {
    let (least, most) = (limits::MIN_OWN_TOKEN_BYTES, limits::MAX_OWN_TOKEN_BYTES);
    if token.len() < least {
        Err(format!("of less than {least} bytes, which can be guessed"))
    } else if token.len() > most {
        Err(format!("of more than {most} bytes"))
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("with characters that no header can hold".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "0123456789-canary-0123456789";

    #[test]
    fn a_line_holds_a_token_or_a_name_and_a_token() {
        let text = format!("# ci\n\n{LONG}\n  ci\t{LONG}-2 \n   # {LONG}\nname {LONG}-3\r\n");
        assert_eq!(parse(&text).expect("tokens").len(), 3);
    }

    #[test]
    fn a_mistake_names_its_line_and_nothing_of_it() {
        let short = "canary-of-19-bytes.";
        let long = "canary".repeat(limits::MAX_OWN_TOKEN_BYTES);
        for (text, told) in [
            ("# canary\n\n".to_owned(), "no token"),
            (format!("{LONG}\n\nx {short}\n"), "line 3"),
            (format!("{LONG}-x\n{long}"), "line 2"),
            (format!("canary of {LONG}"), "line 1"),
            (format!("canary {LONG}é"), "line 1"),
            (format!("a {LONG}\nb {LONG}"), "line 2"),
        ] {
            let what = parse(&text).expect_err(told);
            assert!(what.contains(told) && !what.contains("canary"), "{what}");
        }
        let many: String = (0..=limits::MAX_OWN_TOKENS).map(|n| format!("{LONG}{n}\n")).collect();
        assert!(parse(&many).expect_err("too many").contains("more than"));
    }
}
