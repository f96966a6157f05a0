//! One line of the file of learned boxes: everything about one box, or that it is forgotten.
//!
//! ```text
//! CHECKSUM box  NAME SEEN URL HASH,HASH,…     known; SEEN in wall-clock milliseconds
//! CHECKSUM gone NAME SEEN URL HASH,HASH,…     its sandbox was deleted at SEEN
//! CHECKSUM out  NAME                          forgotten
//! ```
//! Fields stand between tabs, which none of them can hold. The checksum (CRC-32, eight hexadecimal
//! digits) is that of all behind its tab. The last line of a name counts.

use std::fmt::Write as _;

use crate::credential::CredentialHash;
use crate::ids::BoxName;
use crate::upstream::endpoint::Endpoint;

/// What is kept of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Where it is, or was last.
    pub(super) endpoint: Endpoint,
    /// When it was last seen; of a deleted one, when it was deleted.
    pub(super) seen_ms: u64,
    /// The keyed hashes of the newest credentials that were handed out for it, oldest first.
    pub(super) handed_out: Vec<CredentialHash>,
    /// Whether its sandbox was deleted.
    pub(super) is_deleted: bool,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// What is kept of this box.
    Box(BoxName, Kept),
    /// Nothing is.
    Out(BoxName),
}

impl Line {
    /// The line with its end.
    pub(super) fn encode(&self) -> String {
        let text = match self {
            Self::Box(name, kept) => {
                let Kept { endpoint, seen_ms, handed_out, is_deleted } = kept;
                let kind = if *is_deleted { "gone" } else { "box" };
                let hashes: Vec<_> = handed_out.iter().map(hex).collect();
                format!("{kind}\t{name}\t{seen_ms}\t{endpoint}\t{}", hashes.join(","))
            }
            Self::Out(name) => format!("out\t{name}"),
        };
        format!("{:08x}\t{text}\n", crc32fast::hash(text.as_bytes()))
    }

    /// Reads a line without its end; `None` if it is damaged.
    pub(super) fn decode(line: &str) -> Option<Self> {
        let (checksum, text) = line.split_once('\t')?;
        if checksum != format!("{:08x}", crc32fast::hash(text.as_bytes())) {
            return None;
        }
        let fields: Vec<&str> = text.split('\t').collect();
        match fields.as_slice() {
            [kind @ ("box" | "gone"), name, seen, endpoint, hashes] => {
                let kept = Kept {
                    endpoint: endpoint.parse().ok()?,
                    seen_ms: seen.parse().ok()?,
                    handed_out: hashes
                        .split(',')
                        .filter(|hash| !hash.is_empty())
                        .map(unhex)
                        .collect::<Option<_>>()?,
                    is_deleted: *kind == "gone",
                };
                Some(Self::Box(name.parse().ok()?, kept))
            }
            ["out", name] => Some(Self::Out(name.parse().ok()?)),
            _ => None,
        }
    }
}

fn hex(hash: &CredentialHash) -> String {
    hash.to_bytes().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<CredentialHash> {
    let digits = text.is_ascii() && text.len() == 64;
    let byte = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(byte).collect();
    Some(CredentialHash::from_bytes(bytes.filter(|_| digits)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(is_deleted: bool, hashes: u8) -> Kept {
        let endpoint = "https://box.example:8443/v1/a".parse().expect("an endpoint");
        let handed_out = (0..hashes).map(|n| CredentialHash::from_bytes([n; 32])).collect();
        Kept { endpoint, seen_ms: 1_700_000_000_123, handed_out, is_deleted }
    }

    fn lines() -> Vec<Line> {
        let name = |text: &str| text.parse().expect("a name");
        vec![
            Line::Box(name("sbx_1:@=+~-."), kept(false, 0)),
            Line::Box(name("b"), kept(false, 2)),
            Line::Box(name("c"), kept(true, 1)),
            Line::Out(name("b")),
        ]
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for line in lines() {
            let text = line.encode();
            assert_eq!(Line::decode(text.strip_suffix('\n').expect("an end")), Some(line));
        }
    }

    /// The bytes of the first version; they never change their meaning.
    #[test]
    fn the_lines_of_the_first_version_are_these() {
        let text: String = lines().iter().map(Line::encode).collect();
        let (zeros, ones) = ("00".repeat(32), "01".repeat(32));
        let golden = format!(
            "SUM\tbox\tsbx_1:@=+~-.\t1700000000123\thttps://box.example:8443/v1/a\t\n\
             SUM\tbox\tb\t1700000000123\thttps://box.example:8443/v1/a\t{zeros},{ones}\n\
             SUM\tgone\tc\t1700000000123\thttps://box.example:8443/v1/a\t{zeros}\n\
             SUM\tout\tb\n"
        );
        let without_sums = |line: &str| {
            let (sum, rest) = line.split_once('\t').expect("a checksum");
            assert_eq!(sum, format!("{:08x}", crc32fast::hash(rest.as_bytes())));
            format!("SUM\t{rest}\n")
        };
        assert_eq!(text.lines().map(without_sums).collect::<String>(), golden);
    }

    #[test]
    fn a_line_with_any_bit_turned_is_none() {
        for line in lines() {
            let text = line.encode();
            let text = text.trim_end();
            for at in 0..text.len() {
                for bit in 0..7 {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[at] ^= 1 << bit;
                    let damaged = String::from_utf8(bytes).expect("ASCII");
                    assert_eq!(Line::decode(&damaged), None, "{damaged}");
                }
                assert_eq!(Line::decode(&text[..at]), None);
            }
        }
    }
}
