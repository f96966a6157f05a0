//! Where a page of sessions ended, as text: it says where to go on and grants nothing.

use crate::ids::SessionKey;

/// The text for what follows this session.
pub(crate) fn of(last: SessionKey) -> String {
    format!("{:032x}", u128::from_be_bytes(last.to_bytes()))
}

/// The session that a text means; `None` if it is no such text.
pub(crate) fn key(token: &str) -> Option<SessionKey> {
    let is_hex = token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(token, 16).ok().filter(|_| is_hex)?;
    Some(SessionKey::from_bytes(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_and_nothing_else_is_one() {
        for place in [SessionKey::mint(), SessionKey::from_bytes([0; 16])] {
            assert_eq!(key(&of(place)), Some(place));
        }
        let long = "0".repeat(33);
        for text in ["", "1", "+0000000000000000000000000000001", &long, "g".repeat(32).as_str()] {
            assert_eq!(key(text), None, "{text}");
        }
    }
}
