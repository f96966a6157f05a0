//! The words of a box's failure as clients are told them: a code in one spelling, and a message of
//! bounded length.

use crate::limits;

/// The code of a failure that the box gives no usable name.
pub(in crate::upstream) const NO_NAME: &str = "AGENT_FAILED";

/// `ProviderAuthError` as `PROVIDER_AUTH_ERROR`, `APIError` as `API_ERROR`.
pub(in crate::upstream) fn code(name: &str) -> String {
    let letters = name.as_bytes();
    let usable = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && letters.iter().all(|letter| letter.is_ascii_alphanumeric() || *letter == b'_')
        && letters.len() <= limits::MAX_CODE_BYTES;
    if !usable {
        return NO_NAME.to_owned();
    }
    let mut code = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at)).copied().unwrap_or(b'_');
        let after = letters.get(at + 1).copied().unwrap_or(b'_');
        let starts_word = letter.is_ascii_uppercase()
            && before != b'_'
            && (!before.is_ascii_uppercase() || after.is_ascii_lowercase());
        if starts_word {
            code.push('_');
        }
        code.push(char::from(letter.to_ascii_uppercase()));
    }
    code
}

/// The start of a message for people.
pub(in crate::upstream) fn cut(message: &str) -> &str {
    let end = message.floor_char_boundary(limits::MAX_BOX_MESSAGE_BYTES);
    message.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_code_and_a_code_stays_one() {
        for (name, spelled) in [
            ("ProviderAuthError", "PROVIDER_AUTH_ERROR"),
            ("APIError", "API_ERROR"),
            ("AGENT_TIMEOUT", "AGENT_TIMEOUT"),
            ("agent_timeout", "AGENT_TIMEOUT"),
            ("no such thing", NO_NAME),
            ("", NO_NAME),
        ] {
            assert_eq!(code(name), spelled, "{name}");
        }
    }
}
