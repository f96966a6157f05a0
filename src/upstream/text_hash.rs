//! By what an adapter knows a prompt again.

/// The hash of a prompt's text: enough to know it again among a box's messages, and all of it that
/// the log may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextHash([u8; 32]);

impl TextHash {
    /// The hash (BLAKE3) of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(*blake3::hash(text.as_bytes()).as_bytes())
    }

    /// A hash that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash, to be kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}
