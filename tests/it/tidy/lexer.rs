//! Rust source without its comments and the insides of its texts, for rules that look at code.
//!
//! Everything taken out becomes blanks, so that places stay where they were. It knows nested
//! comments, raw and byte strings, escapes, and characters against lifetimes; nothing more.

/// `text` with comments and the contents of strings and characters blanked.
pub(super) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped_to(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            let blanks = chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' });
            code.extend(blanks);
            at = end;
        }
    }
    code
}

/// Where code goes on after the comment or text that begins at `at`; `at` itself if none does.
fn skipped_to(chars: &[char], at: usize) -> usize {
    let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], next(1)) {
        ('/', '/') => at + chars[at..].iter().position(|c| *c == '\n').unwrap_or(chars.len() - at),
        ('/', '*') => after_block_comment(chars, at),
        ('r', '"' | '#') if !in_word => after_raw_string(chars, at + 1).unwrap_or(at),
        ('b', 'r') if !in_word => after_raw_string(chars, at + 2).unwrap_or(at),
        ('"', _) => after_quoted(chars, at + 1, '"'),
        ('\'', '\\') => after_quoted(chars, at + 1, '\''),
        // A character closes behind its one letter; a lifetime does not.
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn after_quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn after_block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (at, depth) = (at + 2, depth + 1),
            ('*', '/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// `from` is behind the `r`. `None` if no string follows, as in a raw identifier.
fn after_raw_string(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars.get(from..)?.iter().take_while(|c| **c == '#').count();
    if chars.get(from + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = from + hashes + 1;
    let length = chars[body..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(chars.len(), |length| body + length + close.len()))
}

#[test]
fn comments_and_texts_are_blanked_and_code_stays_in_place() {
    for (source, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("a\"b", 'c', '\'', x)"#, r"f(      ,    ,     , x)"),
        ("fn f<'a>(x: &'static str)", "fn f<'a>(x: &'static str)"),
        ("r#\"a\"b\"# c", "         c"),
        ("br\"a\" r#type for_r \"x\"", "      r#type for_r    "),
        ("\"open", "     "),
    ] {
        assert_eq!(code_only(source), code, "{source}");
    }
}
