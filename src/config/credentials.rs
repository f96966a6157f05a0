//! Where credentials are kept, and the key that seals them: 32 bytes as 64 hexadecimal digits or as
//! base64, of either alphabet, padded or not. A mistake says nothing of the key.

use super::Credentials;
use super::keys::Key;
use super::mistake::Origin;
use super::sources::Sources;
use crate::seal::SealKey;

/// Where they are to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Memory,
    Sealed,
}

pub(super) fn read(sources: &mut Sources<'_>) -> Option<Credentials> {
    let kept = sources.read(Key::Credentials, |text| match text {
        "memory" => Ok(Where::Memory),
        "sealed" => Ok(Where::Sealed),
        other => Err(format!("`{other}` is neither `memory` nor `sealed`")),
    });
    let key = sources.read_secret(Key::SealedWith, key);
    match (kept?, key?) {
        (Where::Memory, None) => Some(Credentials::Memory),
        (Where::Memory, Some(_)) => {
            let warning =
                "a credentials key is given and not used, since `credentials` is `memory`";
            sources.warnings.push(warning.to_owned());
            Some(Credentials::Memory)
        }
        (Where::Sealed, Some(key)) => Some(Credentials::Sealed(key)),
        (Where::Sealed, None) => {
            let what = "`credentials` is `sealed` and no key is given; give AFTERBAY_CREDENTIALS_KEY, \
                        AFTERBAY_CREDENTIALS_KEY_FILE or `credentials_key_file`";
            sources.note(Origin::Whole, what.to_owned());
            None
        }
    }
}

fn key(text: &str) -> Result<SealKey, String> {
    let text = text.trim();
    let bytes = if text.len() == 64 { hex(text) } else { base64(text) };
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let wrong = "does not hold 32 bytes as 64 hexadecimal digits or as base64; \
                 `openssl rand -base64 32` makes such a key";
    bytes.map(SealKey::from_bytes).ok_or_else(|| wrong.to_owned())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16)?).ok();
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? * 16 + digit(pair.get(1)?)?)).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes 0, 7, 14, …, as text.
    const HEX: &str = "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9";
    const BASE64: &str = "AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk=";

    #[test]
    fn a_key_is_the_same_in_hex_and_in_base64_of_any_kind() {
        let expected: Vec<u8> = (0..32).map(|n| n * 7).collect();
        let plain = BASE64.trim_end_matches('=');
        assert_eq!(hex(HEX).as_ref(), Some(&expected));
        assert_eq!(hex(&HEX.to_uppercase()).as_ref(), Some(&expected));
        for text in [BASE64, plain, &plain.replace('+', "-")] {
            assert_eq!(base64(text).as_ref(), Some(&expected));
        }
        let sealed = key(HEX).unwrap().seal(b"", b"x").unwrap();
        assert!(key(&format!(" {BASE64}\n")).unwrap().open(b"", &sealed).is_ok());
    }

    #[test]
    fn whatever_else_is_refused_without_being_told() {
        let long = format!("{BASE64}AAAA");
        for text in ["", "canary", &HEX[2..], &HEX.replace('0', "g"), &long, "AAcO FRwj", "é"] {
            let told = key(text).expect_err("no key");
            assert!(text.is_empty() || !told.contains(text), "{told}");
        }
    }
}
