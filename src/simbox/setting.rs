//! How one fault is written: in a prompt, as a flag, and in JSON, the same text everywhere.
//!
//! A [`Setting`] is a field that reads itself from text and shows itself as text. `off` clears any
//! field. Reading is strict: what is not understood is a mistake that says what would be.

use std::fmt;
use std::time::Duration;

use crate::limits;

/// A field of the faults, whatever its type.
pub(super) trait Setting {
    /// Reads `text` into the field; `off` clears it.
    fn set(&mut self, text: &str) -> Result<(), String>;

    /// The text that [`Setting::set`] would read; `None` when the field is off.
    fn get(&self) -> Option<String>;
}

/// A value that a field may hold.
pub(super) trait Value: Sized {
    /// Reads it.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes what [`Value::read`] reads.
    fn show(&self) -> String;
}

impl Setting for bool {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = match text {
            "on" | "true" => true,
            "off" | "false" => false,
            other => return Err(format!("`{other}` is neither `on` nor `off`")),
        };
        Ok(())
    }

    fn get(&self) -> Option<String> {
        self.then(|| "on".to_owned())
    }
}

impl<T: Value> Setting for Option<T> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = if text == "off" { None } else { Some(T::read(text)?) };
        Ok(())
    }

    fn get(&self) -> Option<String> {
        self.as_ref().map(T::show)
    }
}

impl<T: Value> Setting for Vec<T> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let items = text.split(',').filter(|_| text != "off");
        *self = items.map(T::read).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn get(&self) -> Option<String> {
        let items: Vec<_> = self.iter().map(T::show).collect();
        (!items.is_empty()).then(|| items.join(","))
    }
}

/// A count.
impl Value for u32 {
    fn read(text: &str) -> Result<Self, String> {
        let count = digits(text).filter(|count| *count <= limits::SIMBOX_COUNT);
        count.ok_or_else(|| format!("`{text}` is not a number up to {}", limits::SIMBOX_COUNT))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A seed.
impl Value for u64 {
    fn read(text: &str) -> Result<Self, String> {
        digits(text).ok_or_else(|| format!("`{text}` is not a number"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A probability.
impl Value for f64 {
    fn read(text: &str) -> Result<Self, String> {
        let chance = text.parse::<Self>().ok().filter(|chance| (0.0..=1.0).contains(chance));
        chance.ok_or_else(|| format!("`{text}` is not a probability from 0 to 1"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

const SPANS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// A time such as `200ms`, `5s`, `2m`, `1h`.
impl Value for Duration {
    fn read(text: &str) -> Result<Self, String> {
        let milliseconds = scaled(text, &SPANS);
        let most = u64::try_from(limits::MAX_CONFIGURED_DURATION.as_millis()).unwrap_or(u64::MAX);
        milliseconds
            .filter(|milliseconds| *milliseconds <= most)
            .map(Self::from_millis)
            .ok_or_else(|| format!("`{text}` is not a time such as 200ms, 5s, 2m, 1h"))
    }

    fn show(&self) -> String {
        let milliseconds = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        unscaled(milliseconds, &SPANS)
    }
}

const SIZES: [(&str, u64); 3] = [("B", 1), ("KB", 1 << 10), ("MB", 1 << 20)];

/// A size in bytes such as `100B`, `64KB`, `1MB`, each unit 1024 of the one below.
impl Value for usize {
    fn read(text: &str) -> Result<Self, String> {
        let bytes = scaled(text, &SIZES).and_then(|bytes| Self::try_from(bytes).ok());
        bytes.filter(|bytes| *bytes <= limits::SIMBOX_PART_BYTES).ok_or_else(|| {
            let most = limits::SIMBOX_PART_BYTES.show();
            format!("`{text}` is not a size such as 100B, 64KB, 1MB, up to {most}")
        })
    }

    fn show(&self) -> String {
        unscaled(u64::try_from(*self).unwrap_or(u64::MAX), &SIZES)
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn unscaled(number: u64, units: &[(&str, u64)]) -> String {
    let largest = units.iter().rev().find(|(_, factor)| number.is_multiple_of(*factor));
    let (unit, factor) = largest.copied().unwrap_or(("", 1));
    format!("{}{unit}", number / factor)
}

/// An error's code: capitals, digits and underscores, as the box's own codes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(pub(super) String);

impl Value for Code {
    fn read(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let good = !text.is_empty() && text.bytes().all(allowed);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a CODE_LIKE_THIS"))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens to the first so many attempts: `503` once, `503x3` three times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated<T> {
    /// What happens.
    pub what: T,
    /// How many attempts it happens to.
    pub times: u32,
}

impl<T> Repeated<T> {
    /// What happens to the attempt number `nth`, from 1.
    pub(super) fn at(&self, nth: u32) -> Option<&T> {
        (nth <= self.times).then_some(&self.what)
    }
}

impl<T: Value> Value for Repeated<T> {
    fn read(text: &str) -> Result<Self, String> {
        let counted = text.rsplit_once('x').and_then(|(what, times)| Some((what, digits(times)?)));
        let (what, times) = counted.unwrap_or((text, 1));
        Ok(Self { what: T::read(what)?, times })
    }

    fn show(&self) -> String {
        format!("{}x{}", self.what.show(), self.times)
    }
}

/// Something with a probability: `429:0.1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance<T> {
    /// What happens.
    pub what: T,
    /// How likely, from 0 to 1.
    pub chance: f64,
}

impl<T: Value> Value for Chance<T> {
    fn read(text: &str) -> Result<Self, String> {
        let Some((what, chance)) = text.split_once(':') else {
            return Err(format!("`{text}` is not of the form 429:0.1"));
        };
        Ok(Self { what: T::read(what)?, chance: f64::read(chance)? })
    }

    fn show(&self) -> String {
        format!("{}:{}", self.what.show(), self.chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Value + PartialEq + fmt::Debug>(text: &str, value: T) {
        let read = T::read(text).expect("good text");
        assert_eq!(read, value, "{text}");
        assert_eq!(T::read(&value.show()), Ok(value), "what is shown is read back");
    }

    #[test]
    fn values_are_read_and_shown() {
        check("200ms", Duration::from_millis(200));
        check("0s", Duration::ZERO);
        check("90s", Duration::from_secs(90));
        check("1MB", 1_usize << 20);
        check("100B", 100_usize);
        check("17", 17_u32);
        check("0.25", 0.25_f64);
        check("AGENT_FAILED", Code("AGENT_FAILED".to_owned()));
        check("17x3", Repeated { what: 17_u32, times: 3 });
        check("17", Repeated { what: 17_u32, times: 1 });
        check("17:0.5", Chance { what: 17_u32, chance: 0.5 });
    }

    #[test]
    fn what_is_not_understood_is_a_mistake() {
        for text in ["", "5", "s", "-1s", "+1s", "1.5s", " 1s", "99999999999999999999h"] {
            assert!(Duration::read(text).is_err(), "{text:?}");
        }
        for text in ["", "1", "1mb", "1000000MB"] {
            assert!(usize::read(text).is_err(), "{text:?}");
        }
        for text in ["", "+1", "-1", "99999999999"] {
            assert!(u32::read(text).is_err(), "{text:?}");
        }
        assert!(f64::read("1.5").is_err() && f64::read("NaN").is_err());
        assert!(Code::read("a b").is_err() && Code::read("").is_err());
    }

    #[test]
    fn off_clears_a_field() {
        let mut field = Some(3_u32);
        assert_eq!(field.set("off"), Ok(()));
        assert_eq!((field, Setting::get(&field)), (None, None));
        let mut list = vec![1_u32];
        assert_eq!(list.set("1,2"), Ok(()));
        assert_eq!(list.get().as_deref(), Some("1,2"));
        assert_eq!(list.set("off"), Ok(()));
        assert!(list.is_empty());
    }
}
