//! Message ids in opencode's own shape, so that ours sort among the box's by time: `msg_`, twelve
//! hex digits of the low 48 bits of `milliseconds * 4096 + counter`, and fourteen random letters.
//!
//! The milliseconds are the box's, never ours: an id from a clock that runs ahead would sort after
//! the answers to it. The 48 bits wrap every 795 days; across a wrap the order is lost, and the
//! callers fall back on reading more.

use rand::Rng;
use rand::distr::Alphanumeric;

/// Milliseconds to the id's time units.
const UNITS_PER_MS: u64 = 0x1000;
/// How many bits of the time an id keeps.
const KEPT_BITS: u32 = 48;
/// Hex digits of those bits.
const STAMP_DIGITS: usize = 12;
/// Random letters behind them.
const RANDOM_LETTERS: usize = 14;

/// The id of a message that comes after everything the box made up to `box_ms`, milliseconds since
/// 1970 by the box's clock.
pub(super) fn after(box_ms: u64, rng: impl Rng) -> String {
    let stamp = box_ms.wrapping_add(1).wrapping_mul(UNITS_PER_MS) & ((1 << KEPT_BITS) - 1);
    let random: String =
        rng.sample_iter(Alphanumeric).take(RANDOM_LETTERS).map(char::from).collect();
    format!("msg_{stamp:012x}{random}")
}

/// The time of an id of the box (`msg_…`, `per_…`, `que_…`), to be compared with another's. `None`
/// if it has another shape; then nothing is known about its order.
pub(super) fn stamp(id: &str) -> Option<u64> {
    let (_, rest) = id.split_once('_')?;
    let digits = rest.get(..STAMP_DIGITS)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by a real server within the milliseconds named.
    const MADE_AT: u64 = 1_795_371_950_431;
    const BOX_ID: &str = "msg_20481e15f0015lyU54Z0ITnQ6E";

    #[test]
    fn an_id_sorts_after_what_the_box_made_before_and_before_what_it_makes_later() {
        let earlier = after(MADE_AT - 5, rand::rng());
        let later = after(MADE_AT, rand::rng());
        assert!(earlier.as_str() < BOX_ID && BOX_ID < later.as_str(), "{earlier} {later}");
        assert!(stamp(&earlier) < stamp(BOX_ID) && stamp(BOX_ID) < stamp(&later));
        assert_eq!(later.len(), BOX_ID.len());
    }

    #[test]
    fn ids_of_one_millisecond_differ() {
        assert_ne!(after(MADE_AT, rand::rng()), after(MADE_AT, rand::rng()));
    }

    #[test]
    fn an_id_of_another_shape_has_no_time() {
        for id in ["", "msg", "msg_", "msg_12", "msg_20481e15fé01", "msg_+0481e15f001", "x"] {
            assert_eq!(stamp(id), None, "{id}");
        }
    }
}
