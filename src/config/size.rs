//! Sizes as people write them: `512MiB`, `10GiB`.
//!
//! One number, one unit, nothing else; [`show`] writes what [`parse`] reads. Units are powers of
//! 1024 and say so: a `10GB` that one reader takes for 10^9 bytes and another for 2^30 is a mistake.

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// Reads a size above zero.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let bytes = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, power)| number.parse::<u64>().ok()?.checked_mul(1 << power));
    match bytes {
        Some(0) => Err(format!("`{text}` must be above zero")),
        Some(bytes) => Ok(bytes),
        None => Err(format!("`{text}` is not a size such as 512MiB or 10GiB")),
    }
}

/// Writes `bytes` in the largest unit that divides it; below a KiB is cut.
pub(super) fn show(bytes: u64) -> String {
    let divides = |(_, power): &&(&str, u32)| bytes.trailing_zeros() >= *power;
    let (unit, power) = UNITS.iter().rev().find(divides).unwrap_or(&("KiB", 10));
    format!("{}{unit}", bytes >> power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for (text, bytes) in
            [("1KiB", 1 << 10), ("512MiB", 512 << 20), ("10GiB", 10 << 30), ("2TiB", 2 << 40)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(show(bytes), text);
        }
        assert_eq!(show(1025 << 10), "1025KiB");
    }

    #[test]
    fn anything_else_is_a_mistake() {
        for text in [
            "",
            "512",
            "MiB",
            "512 MiB",
            " 1MiB",
            "1MB",
            "1M",
            "1mib",
            "-1MiB",
            "+1MiB",
            "1.5GiB",
            "0GiB",
            "1B",
            "1GiB1MiB",
            "off",
            "16777216TiB",
            "99999999999999999999KiB",
            "١GiB",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
