//! Durations as people write them: `500ms`, `60s`, `5m`, `24h`, `7d`.
//!
//! One number, one unit, nothing else; [`show`] writes what [`parse`] reads. No bare numbers: a
//! `60` that one reader takes for seconds and another for milliseconds is a mistake, not a value.

use std::time::Duration;

use crate::limits;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration above zero and at most [`limits::MAX_CONFIGURED_DURATION`].
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    let Some(milliseconds) = milliseconds else {
        return Err(format!("`{text}` is not a duration such as 500ms, 60s, 5m, 24h or 7d"));
    };
    let duration = Duration::from_millis(milliseconds);
    if duration.is_zero() {
        return Err(format!("`{text}` must be above zero"));
    }
    if duration > limits::MAX_CONFIGURED_DURATION {
        let most = show(limits::MAX_CONFIGURED_DURATION);
        return Err(format!("`{text}` is too long; the most is {most}"));
    }
    Ok(duration)
}

/// As [`parse`], with `off` for "no limit".
pub(super) fn parse_or_off(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" { Ok(None) } else { parse(text).map(Some) }
}

/// Writes `duration` in the largest unit that divides it, one day as `24h`; below a millisecond is
/// cut.
pub(crate) fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let (unit, factor) = UNITS
        .iter()
        .rev()
        .find(|(unit, factor)| {
            let factor = u128::from(*factor);
            milliseconds.is_multiple_of(factor) && (*unit != "d" || milliseconds > factor)
        })
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", milliseconds / u128::from(*factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for (text, milliseconds) in
            [("500ms", 500), ("60s", 60_000), ("5m", 300_000), ("24h", 86_400_000), ("1ms", 1)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(parse(&show(Duration::from_millis(milliseconds))), parse(text));
        }
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!((show(day).as_str(), show(7 * day).as_str()), ("24h", "7d"));
        assert_eq!(parse("7d"), Ok(7 * day));
        assert_eq!(show(Duration::from_secs(90)), "90s");
        assert_eq!(show(Duration::from_secs(60)), "1m");
    }

    #[test]
    fn anything_else_is_a_mistake() {
        for text in [
            "",
            "60",
            "s",
            "60 s",
            " 60s",
            "60S",
            "-1s",
            "+1s",
            "1.5s",
            "0s",
            "1h30m",
            "off",
            "9000h",
            "366d",
            "99999999999999999999s",
            "18446744073709551615h",
            "٣s",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_or_off("off"), Ok(None));
        assert_eq!(parse_or_off("1s"), Ok(Some(Duration::from_secs(1))));
    }
}
