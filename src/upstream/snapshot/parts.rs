//! What to send of a message's parts: the difference between what was sent last and what is there.
//!
//! A mark for each part tells what was sent last: its length and hash, its state, and length and
//! hash of its text. From that follows:
//! - a part that did not change is not sent again;
//! - text that only grew carries what was added as `delta`, in the box's own bytes; text that was
//!   rewritten or cut is sent whole, without one;
//! - a part over [`limits::SMALL_PART_BYTES`] is sent again only when its state changes, when it
//!   closes, when it grew by an eighth, and once more when the box is done with it.
//!
//! So a part that grows to N bytes costs at most 9 N, deltas not counted.

use serde_json::value::RawValue;

use super::nesting::is_nested_deeper_than;
use super::pages::{Pages, unreadable};
use super::part::Part;
use crate::limits;

/// The state of a text that has its end.
const CLOSED: &str = "closed";
/// Hex digits of a hash in a mark: enough that no two values of one part ever agree by chance.
const HASH_DIGITS: usize = 16;

/// Whether the box may still change a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Moment {
    /// It works.
    Working,
    /// It is done with the message: this is the last look.
    Done,
}

/// The prefix of the marks of a message's parts.
pub(in crate::upstream) fn marks_of(message: &str) -> String {
    format!("p/{message}/")
}

/// Tells what changed in the parts of `message`.
pub(in crate::upstream) fn tell(
    message: &str,
    parts: &[&RawValue],
    moment: Moment,
    pages: &mut Pages<'_>,
) {
    let prefix = marks_of(message);
    for (index, raw) in parts.iter().enumerate() {
        let Some(part) = Part::read(raw).ok().filter(|_| can_be_shown(raw)) else {
            let mark = format!("{prefix}#{index}");
            if pages.get(&mark).is_none() {
                pages.event(unreadable("part"), &mark, "unreadable");
            }
            continue;
        };
        let name = format!("{prefix}{}", part.id);
        let sent = pages.get(&name).and_then(Sent::decode);
        let here = Sent::of(raw, &part);
        if let Some(mark) = here.after(sent.as_ref(), moment) {
            let delta = part.raw_text().and_then(|text| added(text, sent.as_ref()));
            pages.assembled("message.part.updated", &data(raw, delta), &name, &mark.encode());
        }
    }
}

/// Whether every part was sent as it is, so that the message need not be read again.
pub(in crate::upstream) fn all_sent(message: &str, parts: &[&RawValue], pages: &Pages<'_>) -> bool {
    let prefix = marks_of(message);
    parts.iter().all(|raw| match Part::read(raw) {
        Ok(part) => {
            let sent = pages.get(&format!("{prefix}{}", part.id)).and_then(Sent::decode);
            let open_tool = matches!(part.tool_status().as_deref(), Some("pending" | "running"));
            let is_told = !can_be_shown(raw)
                || sent.is_some_and(|sent| sent.same_bytes(&Sent::of(raw, &part)));
            !open_tool && is_told
        }
        Err(_) => true,
    })
}

/// Whether clients can decode it; what they cannot is told as a warning, like what we cannot.
fn can_be_shown(raw: &RawValue) -> bool {
    !is_nested_deeper_than(limits::MAX_SHOWN_DEPTH, raw.get().as_bytes())
}

fn data(raw: &RawValue, delta: Option<&str>) -> Vec<u8> {
    let mut json = Vec::with_capacity(raw.get().len() + delta.map_or(0, str::len) + 32);
    json.extend_from_slice(b"{\"part\":");
    json.extend_from_slice(raw.get().as_bytes());
    if let Some(delta) = delta {
        json.extend_from_slice(b",\"delta\":\"");
        json.extend_from_slice(delta.as_bytes());
        json.push(b'"');
    }
    json.push(b'}');
    json
}

/// What was added to the text, if nothing else happened to it. What was sent before ends between
/// two tokens, so what follows is whole, too.
fn added<'t>(text: &'t str, sent: Option<&Sent>) -> Option<&'t str> {
    let (length, before) = sent.map_or((0, hash(b"")), |sent| (sent.text_bytes, sent.text_hash));
    let (kept, added) = text.split_at_checked(length)?;
    (!added.is_empty() && hash(kept.as_bytes()) == before).then_some(added)
}

/// What was last sent of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    bytes: usize,
    hash: u64,
    text_bytes: usize,
    text_hash: u64,
    /// Whether it was sent although it had changed too little, since the box was done.
    last_look: bool,
    /// [`CLOSED`], a tool's status, or nothing.
    state: String,
}

impl Sent {
    fn of(raw: &RawValue, part: &Part<'_>) -> Self {
        let text = part.raw_text();
        let has_end = part.time.as_ref().is_some_and(|time| time.end.is_some());
        let state = match part.tool_status() {
            // The box's own word; a long one stands for itself by its hash.
            Some(status) if status.len() <= HASH_DIGITS => status,
            Some(status) => format!("{:016x}", hash(status.as_bytes())),
            None if has_end && text.is_some() => CLOSED.to_owned(),
            None => String::new(),
        };
        let text = text.unwrap_or_default().as_bytes();
        Self {
            bytes: raw.get().len(),
            hash: hash(raw.get().as_bytes()),
            text_bytes: text.len(),
            text_hash: hash(text),
            last_look: false,
            state,
        }
    }

    fn same_bytes(&self, other: &Self) -> bool {
        (self.bytes, self.hash) == (other.bytes, other.hash)
    }

    /// The mark to be set if this is to be sent after `sent`.
    fn after(mut self, sent: Option<&Self>, moment: Moment) -> Option<Self> {
        let Some(sent) = sent else { return Some(self) };
        if self.same_bytes(sent) {
            return None;
        }
        let grown = sent.bytes.saturating_add((sent.bytes / limits::PART_GROWTH_DIVISOR).max(1));
        if self.bytes <= limits::SMALL_PART_BYTES || self.state != sent.state || self.bytes >= grown
        {
            return Some(self);
        }
        self.last_look = true;
        (moment == Moment::Done && !sent.last_look).then_some(self)
    }

    fn encode(&self) -> String {
        let Self { bytes, hash, text_bytes, text_hash, last_look, state } = self;
        let last_look = u8::from(*last_look);
        format!("{bytes:x}:{hash:x}:{text_bytes:x}:{text_hash:x}:{last_look}:{state}")
    }

    /// `None` for a mark of another form; the part is then sent as if it were new.
    fn decode(mark: &str) -> Option<Self> {
        let mut fields = mark.splitn(6, ':');
        let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
        let (bytes, hash, text_bytes, text_hash) = (number()?, number()?, number()?, number()?);
        let last_look = number()? == 1;
        Some(Self {
            bytes: usize::try_from(bytes).ok()?,
            hash,
            text_bytes: usize::try_from(text_bytes).ok()?,
            text_hash,
            last_look,
            state: fields.next()?.to_owned(),
        })
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let raw =
            RawValue::from_string(r#"{"id":"p","type":"tool","state":{"status":"a:b"}}"#.into());
        let raw = raw.expect("JSON");
        let sent = Sent::of(&raw, &Part::read(&raw).expect("a part"));
        assert_eq!(Sent::decode(&sent.encode()), Some(sent));
        assert_eq!(Sent::decode("unreadable"), None);
    }
}
