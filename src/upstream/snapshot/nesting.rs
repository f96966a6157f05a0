//! How deep JSON is nested, told before anybody decodes it.
//!
//! Decoders recurse: past some depth they refuse, or fall over. This one counts.

/// Counts brackets outside strings; it needs no stack, and no valid JSON.
pub(in crate::upstream) fn is_nested_deeper_than(limit: usize, json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_strings_alone() {
        for (json, depth) in
            [("1", 0), ("{}", 1), ("[[],[[]]]", 3), (r#"["[[[[", {"]": "\\\"[["}]"#, 2)]
        {
            assert!(!is_nested_deeper_than(depth, json.as_bytes()), "{json}");
            assert!(depth == 0 || is_nested_deeper_than(depth - 1, json.as_bytes()), "{json}");
        }
    }
}
