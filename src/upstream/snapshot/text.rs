//! What a JSON string token means, also where a box cut it in the middle of a character.

/// The text that a JSON string token (without its quotes) means. Half a surrogate pair, which a
/// box that cuts text at UTF-16 units leaves, becomes U+FFFD.
pub(in crate::upstream) fn decoded(raw: &str) -> String {
    let whole = |token: &str| serde_json::from_str::<String>(&format!("\"{token}\""));
    if let Ok(text) = whole(raw) {
        return text;
    }
    let mut mended = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = [12, 6, 2].into_iter().find(|length| {
            // Two characters escape anything but a unit, six a unit, twelve a pair of them.
            let token = escape.get(..*length);
            token.is_some_and(|token| {
                (*length == 2 || token.starts_with("\\u")) && whole(token).is_ok()
            })
        });
        match length.and_then(|length| escape.split_at_checked(length)) {
            Some((token, after)) => {
                mended.push_str(token);
                rest = after;
            }
            None => {
                mended.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
            }
        }
    }
    mended.push_str(rest);
    whole(&mended).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_text() {
        for (raw, text) in [
            (r"plain \u00e9 \ud83d\ude00 \n", "plain é 😀 \n"),
            (r"cut \ud83d", "cut \u{fffd}"),
            (r"\ude00 turned \ud83d\ud83d\ude00 x", "\u{fffd} turned \u{fffd}😀 x"),
            (r"\\ud83d \ud83dxyz", "\\ud83d \u{fffd}xyz"),
        ] {
            assert_eq!(decoded(raw), text, "{raw}");
        }
    }
}
